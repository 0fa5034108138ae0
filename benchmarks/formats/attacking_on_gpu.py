"""What attacking on a GPU costs."""

from dataclasses import dataclass

from pixelproof.benchmarks.formats.common import Conditions


@dataclass(frozen=True)
class KernelRow:
    """One part of a generation of all lanes."""

    part: str
    launches: int
    """A generation."""
    ms: float
    """Of all of them, launched one after another without the rest."""
    gigabytes_per_second: float | None
    """Read and written; None where that is not what it is limited by."""


@dataclass(frozen=True)
class KernelResults:
    """What `pixelproof bench kernels` measured."""

    created: str
    conditions: Conditions
    gpu: str
    classifier: str
    purifier: str | None
    network: str
    """What ran it on the GPU."""
    lanes: int
    population: int
    rows: int
    """Candidates a batch of the network."""
    kernels: tuple[KernelRow, ...]
    generation_ms: float
    network_ms: float
    """Its batches of a generation alone."""
    copy_gigabytes_per_second: float
    """Read and written by the driver's own copy of 256 MiB."""
    images: int
    candidates: int
    """Of all images, with the whole budget and no early stop."""
    seconds: float
    batches: int | None = None
    """Of the network in the generation that was timed; None: as many as all candidates ask for."""
    evaluated: int | None = None
    """Of `candidates`, those not seen before; None: all were evaluated."""

    @property
    def kernels_share(self) -> float:
        """Of a generation's time that is not the network's, 0 to 1."""
        return max(0.0, 1 - self.network_ms / self.generation_ms)

    @property
    def share_of_network_alone(self) -> float:
        """The candidates a second of whole generations by those of the network alone, 0 to 1."""
        return self.network_ms / self.generation_ms

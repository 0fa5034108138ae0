"""What lower precisions keep, cost and gain."""

from dataclasses import dataclass

from pixelproof.benchmarks.formats.common import Conditions
from pixelproof.statistics import Share


@dataclass(frozen=True)
class PrecisionRow:
    """One classifier in one precision, beside float32 in the same runtime; shares are 0 to 1."""

    classifier: str
    precision: str
    target: str
    """The runtime that the graph is made for: "cpu", "tensorrt" or "both"."""
    images: int
    agreement: float | None
    """The bare classifier's decisions that are float32's; None for float32."""
    pipeline_agreement: float | None
    accuracy: float
    pipeline_accuracy: float
    d_suc: Share | None
    """Of the shipped adversarial images that fool it; None where there are none of these weights."""
    pl: float | None
    nbytes: int
    """Of the fused graph."""
    times_faster: float | None
    """Throughput by float32's in one interleaved run; None where the graph is not made for this runtime."""


@dataclass(frozen=True)
class EngineRow:
    """One engine that was built; none of them was run by this measurement."""

    classifier: str
    precision: str
    flavor: str
    built_for: str
    nbytes: int
    seconds: float
    lower_share: float
    """Of the classifier's convolutions in the named precision, 0 to 1, in int8 of all but the first; 1 for float32."""


@dataclass(frozen=True)
class PrecisionResults:
    """What `pixelproof bench precision` measured."""

    created: str
    conditions: Conditions
    purifier: str
    batch: int
    rounds: int
    """Of the throughput."""
    rows: tuple[PrecisionRow, ...]
    engines: tuple[EngineRow, ...]
    notes: tuple[str, ...]

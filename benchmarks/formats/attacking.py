"""What attacking costs."""

from dataclasses import dataclass

from pixelproof.benchmarks.formats.common import Conditions
from pixelproof.statistics import Share


@dataclass(frozen=True)
class AttackSpeedRow:
    """One attack on one classifier, one image at a time; a query is an image that the network was shown."""

    classifier: str
    attack: str
    peer: bool
    """Of another project."""
    provider: str
    """The execution provider that really ran, or the framework where it is not ONNX Runtime."""
    n: int
    attack_success: Share
    """Verified in uint8 by the bundle as deployed."""
    seconds_per_image: float
    seconds_median: float
    seconds_p90: float
    queries_per_image: float
    queries_median: float
    queries_p90: float
    queries_per_second: float
    """All queries by all seconds."""
    times_faster: float | None
    """The seconds an image of the faster peer by this attack's; None where no peer ran."""
    peak_memory_mib: float | None
    """Largest resident set of a process that does nothing else, interpreter and libraries included; None: unknown."""


@dataclass(frozen=True)
class AttackSpeedResults:
    """What `pixelproof bench attack` measured."""

    created: str
    conditions: Conditions
    generations: int
    """Of differential evolution, after the first population."""
    population: int
    rows: tuple[AttackSpeedRow, ...]
    notes: tuple[str, ...]
    """What was left out, and why; how the figures are to be read."""


@dataclass(frozen=True)
class LayerRow:
    """One part of a classifier, and what of it a changed pixel needs: a convolution, mostly, and what follows it."""

    classifier: str
    layer: str
    side: int
    """The longer one of its outputs' maps, in places."""
    changed: int
    """Of the largest box of these that one changed pixel can move."""
    arithmetic: int
    """Multiply-adds on whole maps; what only moves values is counted by its time."""
    needed: int
    """Of these, those whose outcome a changed pixel can move."""
    by_windows: bool
    """An attack computes it by windows."""


@dataclass(frozen=True)
class CandidateCost:
    """What a candidate costs on one classifier, with windows and without."""

    classifier: str
    whole_ms: float
    windows_ms: float | None
    """None where windows are not used: not faster by the reckoning, or not the same."""
    candidates: int
    images: int
    rounds: int

    @property
    def times_faster(self) -> float | None:
        """Without windows by with them."""
        return None if self.windows_ms is None else self.whole_ms / self.windows_ms


@dataclass(frozen=True)
class LayerResults:
    """What `pixelproof bench layers` measured."""

    created: str
    conditions: Conditions
    rows: tuple[LayerRow, ...]
    candidates: tuple[CandidateCost, ...]

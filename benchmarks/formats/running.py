"""What running a bundle costs."""

from dataclasses import dataclass

from pixelproof.benchmarks.formats.common import Conditions


@dataclass(frozen=True)
class LatencyRow:
    """One way of running a batch of `batch` images; times are milliseconds a batch over `rounds` rounds."""

    name: str
    provider: str
    """The execution provider that really ran, or the framework where it is not ONNX Runtime."""
    batch: int
    rounds: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    variation: float
    """Coefficient of variation: standard deviation by mean."""
    images_per_second: float
    """At the median."""
    ratio: float | None
    """Median by the bare classifier's, of the same rounds; None where it was not timed."""
    peak_memory_mib: float | None
    """Largest resident set of a process that does nothing else, interpreter and libraries included; None: unknown."""


@dataclass(frozen=True)
class LatencyResults:
    """What `pixelproof bench latency` measured."""

    created: str
    conditions: Conditions
    classifier: str
    purifier: str | None
    precision: str
    image_size: tuple[int, int]
    rows: tuple[LatencyRow, ...]
    notes: tuple[str, ...]
    """What was left out, and why; figures that vary too much."""

    @property
    def subject(self) -> str:
        """What was timed, in words."""
        purifier = f"behind {self.purifier}" if self.purifier else "with no purifier"
        return f"{self.classifier} {purifier}, {self.precision}"


@dataclass(frozen=True)
class MemorySample:
    """The resident set of a process after so many rounds or images."""

    done: int
    mib: float


@dataclass(frozen=True)
class SoakRow:
    """One kind of work, done over and over in a process that does nothing else."""

    work: str
    """What is counted, such as "open, run, close"."""
    count: int
    seconds: float
    memory: tuple[MemorySample, ...]
    growth_mib: float | None
    """The median resident set of the last quarter less that of the second; None where the system does not tell."""


@dataclass(frozen=True)
class ColdStart:
    """What a process that does nothing else waits for, from its start on."""

    what: str
    runs: int
    median_ms: float
    slowest_ms: float


@dataclass(frozen=True)
class SoakResults:
    """What `pixelproof bench soak` measured."""

    created: str
    conditions: Conditions
    classifier: str
    purifier: str | None
    rows: tuple[SoakRow, ...]
    starts: tuple[ColdStart, ...]

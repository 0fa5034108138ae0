"""What the benchmarks measure and the report shows, as dataclasses; `results_file` writes and reads them."""

from dataclasses import dataclass

from pixelproof.benchmarks.statistics import wilson_interval

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Share:
    """`count` of `n`, with its 95 % Wilson interval; the figures are None where n is 0."""

    count: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.n:
            raise ValueError(f"count must be 0 to n, got {self.count} of {self.n}")

    @property
    def value(self) -> float | None:
        """The share, 0 to 1."""
        return self.count / self.n if self.n else None

    @property
    def low(self) -> float | None:
        """The interval's lower end."""
        return wilson_interval(self.count, self.n)[0] if self.n else None

    @property
    def high(self) -> float | None:
        """The interval's upper end."""
        return wilson_interval(self.count, self.n)[1] if self.n else None


@dataclass(frozen=True)
class Conditions:
    """Where and how something was measured."""

    provider: str
    """The execution provider that really ran."""
    cpu: str
    cores: int
    threads: int | None
    """CPU threads a call might use; None: one a core."""
    versions: dict[str, str]
    seed: int | None
    data: str
    command: str


@dataclass(frozen=True)
class PaperFigures:
    """What the paper reports for a classifier, 0 to 1."""

    attack_success: float
    success_after: float
    defence_rate: float
    performance_loss: float


@dataclass(frozen=True)
class DefenceRow:
    """One classifier, purifier and search method; `queries` count evaluations an image, of all images attacked."""

    classifier: str
    purifier: str
    method: str
    pixels: int
    n: int
    clean_accuracy: Share
    attack_success: Share
    success_after: Share
    defence_rate: Share
    performance_loss: Share
    adaptive_success: Share | None
    queries_median: float | None
    queries_p90: float | None
    seconds_per_image: float | None
    adaptive_queries_median: float | None
    adaptive_queries_p90: float | None
    adaptive_seconds_per_image: float | None
    paper: PaperFigures | None


@dataclass(frozen=True)
class Prediction:
    """The most probable class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Example:
    """One attacked image, as three PNG files of one size; `pixels` are the changed (row, column)s.

    `before` and `after` are what the attacked network says of the original and of the attacked image,
    `after_purified` what the pipeline says of the attacked one.
    """

    classifier: str
    purifier: str
    protocol: str
    image_index: int
    label: str
    original: bytes
    attacked: bytes
    purified: bytes
    pixels: tuple[tuple[int, int], ...]
    before: Prediction
    after: Prediction
    after_purified: Prediction

    def __post_init__(self) -> None:
        files = (self.original, self.attacked, self.purified)
        if not all(file.startswith(_PNG) and len(file) > 24 for file in files):
            raise ValueError("original, attacked and purified must be PNG files")
        if len({file[16:24] for file in files}) > 1:
            raise ValueError("original, attacked and purified must be of one size")
        height, width = self.size
        if not all(0 <= row < height and 0 <= column < width for row, column in self.pixels):
            raise ValueError(f"pixels must lie inside the {height}x{width} image, got {self.pixels}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return int.from_bytes(self.original[20:24]), int.from_bytes(self.original[16:20])


@dataclass(frozen=True)
class Positions:
    """How many attacks succeeded at each pixel: `counts` has `size` = (H, W) entries; no purifier where None."""

    classifier: str
    purifier: str | None
    protocol: str
    size: tuple[int, int]
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        height, width = self.size
        if len(self.counts) != height or any(len(row) != width for row in self.counts):
            raise ValueError(f"counts must have {height} rows of {width}")
        if any(count < 0 for row in self.counts for count in row):
            raise ValueError("counts must be 0 or more")


@dataclass(frozen=True)
class DefenceResults:
    """What `pixelproof bench defense` measured."""

    created: str
    conditions: Conditions
    rows: tuple[DefenceRow, ...]
    gallery: tuple[Example, ...]
    positions: tuple[Positions, ...]


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
class TechniqueRow:
    """One classifier behind one technique: a purifier or an input transformation."""

    classifier: str
    technique: str
    n: int
    attack_success: Share
    defence_rate: Share
    performance_loss: Share
    adaptive_success: Share | None
    milliseconds: float
    """The technique alone, one image a call."""


@dataclass(frozen=True)
class TechniqueResults:
    """What `pixelproof bench techniques` measured."""

    created: str
    conditions: Conditions
    rows: tuple[TechniqueRow, ...]


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


@dataclass(frozen=True)
class TrainingResults:
    """How a network was trained: what lies as JSON beside its weights."""

    name: str
    command: str
    device: str
    wall_time_s: float
    training_images: int
    test_images: int
    versions: dict[str, str]
    figures: dict[str, float]
    """Of the shipped weights, on all test images."""
    history: tuple[dict[str, float], ...]
    """Each epoch's loss, figures (on some of the test images) and speed."""


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


Results = DefenceResults | LatencyResults | TechniqueResults | AttackSpeedResults | LayerResults | SoakResults
"""What `pixelproof bench` measures."""

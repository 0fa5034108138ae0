"""What attacks do to bundles, and what other techniques do against them."""

from dataclasses import dataclass

from pixelproof.benchmarks.formats.common import Conditions
from pixelproof.statistics import Share

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class PaperFigures:
    """What the paper reports for a classifier, 0 to 1."""

    attack_success: float
    success_after: float
    defense_rate: float
    performance_loss: float


@dataclass(frozen=True)
class DefenseRow:
    """One classifier, purifier and search method; `queries` are `Outcome`'s, of all images attacked.

    `screen` names the cheaper network that the searches' candidates were screened by, None where all were tried;
    `passed_colors` says whether the adaptive attacker was told which colors the purifier lets pass, None where that
    was not noted, or the method does not try them; `population` and `generations` are `de`'s, None where it was not
    asked (or, in older files, where they are its defaults). `bundle` tells rows of one classifier and purifier apart,
    None where there is one. `classifier_sha256` and `purifier_sha256` are of the weights (None where there are none, or
    in older files); `exhausted` and `adaptive_exhausted` count the images that withstood every candidate the search
    has.
    """

    classifier: str
    purifier: str
    method: str
    pixels: int
    n: int
    clean_accuracy: Share
    attack_success: Share
    success_after: Share
    defense_rate: Share
    performance_loss: Share
    adaptive_success: Share | None
    queries_median: float | None
    queries_p90: float | None
    seconds_per_image: float | None
    adaptive_queries_median: float | None
    adaptive_queries_p90: float | None
    adaptive_seconds_per_image: float | None
    paper: PaperFigures | None
    screen: str | None = None
    population: int | None = None
    generations: int | None = None
    passed_colors: bool | None = None
    bundle: str | None = None
    classifier_sha256: str | None = None
    purifier_sha256: str | None = None
    exhausted: int | None = None
    adaptive_exhausted: int | None = None


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
class DefenseResults:
    """What `pixelproof bench defense` measured."""

    created: str
    conditions: Conditions
    rows: tuple[DefenseRow, ...]
    gallery: tuple[Example, ...]
    positions: tuple[Positions, ...]
    notes: tuple[str, ...] = ()
    """What else a reader has to know of these rows."""


@dataclass(frozen=True)
class TechniqueRow:
    """One classifier behind one technique: a purifier or an input transformation."""

    classifier: str
    technique: str
    n: int
    attack_success: Share
    defense_rate: Share
    performance_loss: Share
    adaptive_success: Share | None
    milliseconds: float
    """The technique alone, one image a call."""
    screen: str | None = None
    """As of `DefenseRow`."""


@dataclass(frozen=True)
class TechniqueResults:
    """What `pixelproof bench techniques` measured."""

    created: str
    conditions: Conditions
    rows: tuple[TechniqueRow, ...]

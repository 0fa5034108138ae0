"""The report's drawings: latency bars, learning curves, and maps of where in the image attacks succeed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.defense import DefenseResults
from pixelproof.benchmarks.gallery import Positions
from pixelproof.benchmarks.latency import LatencyResults, LatencyRow
from pixelproof.benchmarks.tables import percent

WIDTH, HEIGHT = 300, 120  # of a curve's drawing, in its own units
_NOT_DRAWN = {"epoch", "seconds", "images_per_s"}
_FAINTEST = 0.15


@dataclass(frozen=True)
class Bar:
    """One way's time, as wide as its share of the slowest."""

    name: str
    median: str
    width: float
    """Of the median, in percent of the plot."""
    reach: float
    """From there to the 90th percentile, likewise."""
    is_own: bool
    """The fused graph: what is deployed."""


@dataclass(frozen=True)
class Plot:
    """The bars of one batch size, in milliseconds."""

    title: str
    bars: tuple[Bar, ...]


def latency_plots(results: Sequence[LatencyResults], own: str) -> list[Plot]:
    """A plot a result and batch size; `own` names the way that is drawn in another color."""
    plots = []
    for one in results:
        for batch in dict.fromkeys(row.batch for row in one.rows):
            rows = [row for row in one.rows if row.batch == batch]
            longest = max(row.p90_ms for row in rows)
            images = "image" if batch == 1 else "images"
            bars = tuple(_bar(row, longest, own) for row in rows)
            plots.append(Plot(f"{one.subject}, {batch:,} {images} a call", bars))
    return plots


def _bar(row: LatencyRow, longest: float, own: str) -> Bar:
    width = 100 * row.p50_ms / longest
    return Bar(row.name, f"{row.p50_ms:,.2f} ms", width, 100 * row.p90_ms / longest - width, row.name == own)


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
class Curve:
    """One figure over the epochs, drawn in `WIDTH` x `HEIGHT`, larger values higher up."""

    name: str
    line: str
    """The points of an SVG polyline."""
    lowest: str
    highest: str
    last: str


@dataclass(frozen=True)
class LearningCurves:
    """A training run's curves."""

    title: str
    epochs: int
    curves: tuple[Curve, ...]


def learning_curves(runs: Sequence[TrainingResults]) -> list[LearningCurves]:
    """The curves of each run that has a history."""
    return [
        LearningCurves(run.name, len(run.history), tuple(_curve(name, run) for name in run.history[0] if _drawn(name)))
        for run in runs
        if run.history
    ]


def _drawn(name: str) -> bool:
    return name not in _NOT_DRAWN


def _curve(name: str, run: TrainingResults) -> Curve:
    values = [epoch[name] for epoch in run.history]
    low, high = min(values), max(values)
    across, up = WIDTH / max(1, len(values) - 1), HEIGHT / (high - low or 1.0)
    points = (f"{index * across:.1f},{HEIGHT - (value - low) * up:.1f}" for index, value in enumerate(values))
    lowest, highest, last = (f"{value:.4g}" for value in (low, high, values[-1]))
    return Curve(name.replace("_", " "), " ".join(points), lowest, highest, last)


@dataclass(frozen=True)
class Spot:
    """A position where attacks succeeded; `strength` is its share of the largest count, made visible, 0 to 1."""

    row: int
    column: int
    count: int
    strength: float


@dataclass(frozen=True)
class HeatMap:
    """One map; positions without a success have no spot."""

    title: str
    protocol: str
    size: tuple[int, int]
    spots: tuple[Spot, ...]
    largest: int
    summary: str


def heat_maps(defenses: Sequence[DefenseResults]) -> list[HeatMap]:
    """All maps, those that came twice once."""
    positions = dict.fromkeys(positions for results in defenses for positions in results.positions)
    return [_heat_map(one) for one in positions]


def _heat_map(positions: Positions) -> HeatMap:
    counts = positions.counts
    largest = max(count for row in counts for count in row)
    spots = tuple(
        Spot(row, column, count, _FAINTEST + (1 - _FAINTEST) * count / largest)
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count
    )
    behind = f"behind {positions.purifier}" if positions.purifier else "with no purifier"
    title = f"{positions.classifier} {behind}"
    return HeatMap(title, positions.protocol, positions.size, spots, largest, _summary(positions, spots))


def _summary(positions: Positions, spots: Sequence[Spot]) -> str:
    """How many there are, and how many in the middle quarter of the image."""
    total = sum(spot.count for spot in spots)
    if not total:
        return "No attack succeeded."
    height, width = positions.size
    middle = sum(
        spot.count
        for spot in spots
        if height <= 4 * spot.row + 2 <= 3 * height and width <= 4 * spot.column + 2 <= 3 * width
    )
    return f"{total:,} pixels of successful attacks, {percent(middle / total)} of them in the middle quarter."

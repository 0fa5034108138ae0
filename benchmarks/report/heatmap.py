"""The report's maps of where in the image attacks succeed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.formats import DefenseResults, Positions
from pixelproof.benchmarks.layout import percent

_FAINTEST = 0.15


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

"""The report's first lines: for each classifier, what its best-measured defense does, beside the paper's."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.defense import DefenseResults, DefenseRow, PaperFigures
from pixelproof.benchmarks.latency import FUSED, LatencyResults, LatencyRow
from pixelproof.benchmarks.tables import NOTHING, percent
from pixelproof.statistics import Share

DEFAULT_PURIFIER = "gated"


@dataclass(frozen=True)
class Tile:
    """One figure with what it says and what to compare it with."""

    figure: str
    meaning: str
    beside: str


@dataclass(frozen=True)
class Bar:
    """One of several shares drawn below one another; `low` and `high` are its interval, all 0 to 1."""

    name: str
    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The share as a text."""
        return percent(self.value)


@dataclass(frozen=True)
class Headline:
    """A classifier's summary."""

    row: DefenseRow
    tiles: tuple[Tile, ...]
    bars: tuple[Bar, ...]


def headlines(defenses: Sequence[DefenseResults], latencies: Sequence[LatencyResults]) -> list[Headline]:
    """One for each classifier in the results, in their order."""
    rows = [row for results in defenses for row in results.rows]
    return [
        _headline(max((row for row in rows if row.classifier == classifier), key=_rank), latencies)
        for classifier in dict.fromkeys(row.classifier for row in rows)
    ]


def _rank(row: DefenseRow) -> tuple[bool, bool, int, float]:
    """The default purifier and one pixel first, then what was measured on most images, then what found most."""
    return row.purifier == DEFAULT_PURIFIER, row.pixels == 1, row.n, row.attack_success.value or 0.0


def _headline(row: DefenseRow, latencies: Sequence[LatencyResults]) -> Headline:
    adaptive = row.adaptive_success
    tiles = [
        Tile(percent(row.defense_rate.value), "of successful attacks undone", _paper(row.paper, "defense_rate")),
        Tile(percent(row.performance_loss.value), "of clean images lost", _paper(row.paper, "performance_loss")),
        Tile(
            percent(adaptive.value if adaptive else None),
            "fall to an attacker who knows the purifier",
            f"no purifier: {percent(row.attack_success.value)}",
        ),
        *_cost(row, latencies),
    ]
    bars = [
        _bar("no purifier", row.attack_success),
        _bar("transfer: purified afterwards", row.success_after),
        *([_bar("adaptive: purifier attacked too", adaptive)] if adaptive else []),
    ]
    return Headline(row, tuple(tiles), tuple(bar for bar in bars if bar))


def _paper(paper: PaperFigures | None, figure: str) -> str:
    return f"the paper: {percent(getattr(paper, figure))}" if paper else "the paper: not reported"


def _bar(name: str, share: Share) -> Bar | None:
    if share.value is None or share.low is None or share.high is None:
        return None
    return Bar(name, share.value, share.low, share.high)


def _cost(row: DefenseRow, latencies: Sequence[LatencyResults]) -> list[Tile]:
    """The smallest batch's time, where the same classifier and purifier were timed."""
    timed: list[LatencyRow] = [
        timed
        for results in latencies
        if (results.classifier, results.purifier) == (row.classifier, row.purifier)
        for timed in results.rows
        if timed.name == FUSED and timed.ratio is not None
    ]
    if not timed:
        return []
    first = min(timed, key=lambda row: row.batch)
    images = "1 image" if first.batch == 1 else f"{first.batch} images"
    ratio = NOTHING if first.ratio is None else f"{first.ratio:.2f} ×"
    return [Tile(ratio, "the bare classifier's time", f"{first.p50_ms:,.3f} ms for {images}")]

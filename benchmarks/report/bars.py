"""The report's latency plots: the median time of each way of running a bundle, one plot a batch size."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixelproof.benchmarks.formats import LatencyResults, LatencyRow


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

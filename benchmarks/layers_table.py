"""The table of what a changed pixel needs of each layer."""

from pixelproof.benchmarks.formats import CandidateCost, LayerResults, LayerRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, percent

_HEADINGS = ("classifier", "layer", "map", "changed", "M multiply-adds", "needed", "share", "by windows")
_NOTES = (
    "Map: places on a side of a layer's outputs. Changed: of the largest box of these that one changed pixel can move. "
    "Needed: the multiply-adds whose outcome it can move. A layer goes with what follows it place by place.",
    "Multiply-adds are those of convolutions; normalization and concatenation that a runtime does not join with one "
    "are counted by their time. What follows the last layer here is not counted.",
)


def layers_layout(results: LayerResults) -> Table:
    """The layers, classifier by classifier, each followed by the whole."""
    rows: list[Row] = []
    for name in dict.fromkeys(row.classifier for row in results.rows):
        own = [row for row in results.rows if row.classifier == name]
        rows += [Row(_cells(row)) for row in own]
        rows.append(Row(_total(name, own)))
    notes = (*_NOTES, *map(_candidates, results.candidates))
    return Table("What one changed pixel needs of each layer", _HEADINGS, 2, 0, tuple(rows), notes)


def _cells(row: LayerRow) -> tuple[Cell, ...]:
    return (
        Cell(row.classifier),
        Cell(row.layer),
        Cell(f"{row.side:,}"),
        Cell(f"{row.changed:,}"),
        Cell(_millions(row.arithmetic)),
        Cell(_millions(row.needed)),
        Cell(percent(row.needed / row.arithmetic) if row.arithmetic else NOTHING),
        Cell("yes" if row.by_windows else "no"),
    )


def _total(name: str, rows: list[LayerRow]) -> tuple[Cell, ...]:
    whole, needed = sum(row.arithmetic for row in rows), sum(row.needed for row in rows)
    share = Cell(percent(needed / whole) if whole else NOTHING)
    used = sum(row.by_windows for row in rows)
    figures = (Cell(_millions(whole)), Cell(_millions(needed)), share, Cell(f"{used} of {len(rows)}"))
    return (Cell(name), Cell("all"), Cell(NOTHING), Cell(NOTHING), *figures)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f}"


def _candidates(cost: CandidateCost) -> str:
    where = f"{cost.candidates:,} candidates of {cost.images:,} images, median of {cost.rounds:,} interleaved rounds"
    if cost.windows_ms is None or cost.times_faster is None:
        return f"{cost.classifier}: {cost.whole_ms:.3f} ms a candidate; windows are not used ({where})."
    return (
        f"{cost.classifier}: {cost.windows_ms:.3f} ms a candidate by windows, {cost.whole_ms:.3f} without: "
        f"{cost.times_faster:.2f} times faster ({where})."
    )

"""The table of attack speed."""

from pixelproof.benchmarks.formats import AttackSpeedResults, AttackSpeedRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, share_cell

_HEADINGS = (
    "classifier",
    "attack",
    "success",
    "s/image",
    "times faster",
    "queries/image",
    "queries/s",
    "peak MiB",
    "n",
)
_NOTES = (
    "Beside or below a percentage: its 95 % Wilson interval. Beside or below a mean: median / 90th percentile.",
    "All attacks in turn on each image, one image a call, each beginning in turn. Success: the uint8 image, written "
    "and read back, differs in one pixel at most and is misclassified by the bundle as deployed. What the other "
    "projects give is rounded to uint8 first.",
    "Times faster: the mean time of the faster of the other projects, on the same classifier, by this attack's.",
    "Queries: images that the network was shown, whatever for: candidates, those in flight behind a winner too, and "
    "looks at the unchanged image and at the winner. Rows that only fill a batch are not counted, nor is the gradient, "
    "whose time is. Queries/s: all queries by all seconds.",
    "Peak memory: of a process that does nothing else, interpreter and libraries included.",
)


def attack_speed_layout(results: AttackSpeedResults) -> Table:
    """The attacks, classifier by classifier."""
    caption = (
        f"Speed of one-pixel attacks, differential evolution of {results.generations:,} generations of "
        f"{results.population:,}, {results.conditions.cpu}"
    )
    notes = (*_NOTES, *results.notes)
    return Table(caption, _HEADINGS, 2, 0, tuple(Row(_cells(row)) for row in results.rows), notes)


def _cells(row: AttackSpeedRow) -> tuple[Cell, ...]:
    return (
        Cell(row.classifier),
        Cell(row.attack),
        share_cell(row.attack_success),
        Cell(f"{row.seconds_per_image:,.3f}", f"{row.seconds_median:,.3f} / {row.seconds_p90:,.3f}"),
        Cell(NOTHING if row.times_faster is None else f"{row.times_faster:,.2f}"),
        Cell(f"{row.queries_per_image:,.0f}", f"{row.queries_median:,.0f} / {row.queries_p90:,.0f}"),
        Cell(f"{row.queries_per_second:,.0f}"),
        Cell(NOTHING if row.peak_memory_mib is None else f"{row.peak_memory_mib:,.0f}"),
        Cell(f"{row.n:,}"),
    )

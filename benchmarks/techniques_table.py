"""The table of techniques."""

from collections.abc import Sequence

from pixelproof.benchmarks.formats import TechniqueRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, share_cell

_HEADINGS = ("classifier", "technique", "D_suc", "PL", "adaptive success", "adaptive n", "ms/image", "n")
_SHIELDED_NOTE = (
    "Adaptive success behind gated is too low: an independent attack felled 18 of LeNet's first 100 images; the "
    "searches here do not try shielded colors (lenet-strongest.md)."
)
_NOTES = (
    "Beside or below a percentage: its 95 % Wilson interval. Every technique of a classifier is judged on the same "
    "attacked images.",
    "D_suc: the share of the successes against the bare classifier that the technique undoes. PL: the share of clean "
    "images, right without it, that it gets wrong. Adaptive success: the attacker asks technique and classifier as "
    "one, and tries what fooled the bare classifier.",
    "ms/image: the technique alone, one image a call, median of interleaved rounds.",
)


def techniques_layout(rows: Sequence[TechniqueRow]) -> Table:
    """The techniques, classifier by classifier."""
    lines = tuple(
        Row(
            (
                Cell(row.classifier),
                Cell(row.technique),
                share_cell(row.defense_rate),
                share_cell(row.performance_loss),
                share_cell(row.adaptive_success),
                Cell(NOTHING if row.adaptive_success is None else f"{row.adaptive_success.n:,}"),
                Cell(f"{row.milliseconds:,.3f}"),
                Cell(f"{row.n:,}"),
            )
        )
        for row in rows
    )
    screens = sorted({row.screen for row in rows if row.screen is not None})
    screened = (f"Candidates of the attacks were screened in {' or '.join(screens)}.",) if screens else ()
    shielded = (_SHIELDED_NOTE,) if any(row.technique == "gated" and row.adaptive_success for row in rows) else ()
    notes = (*_NOTES, *screened, *shielded)
    return Table("Purifiers and the usual input transformations", _HEADINGS, 2, 0, lines, notes)

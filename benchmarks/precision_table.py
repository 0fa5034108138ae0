"""The table of the precisions."""

from pixelproof.benchmarks.formats import EngineRow, PrecisionResults, PrecisionRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, percent

_HEADINGS = (
    "classifier",
    "precision",
    "for",
    "decisions as in fp32",
    "behind the purifier",
    "accuracy",
    "behind the purifier",
    "D_suc",
    "PL",
    "MiB",
    "times faster",
)


def precision_layout(results: PrecisionResults) -> Table:
    """A row a classifier and precision; the engines stand below."""
    built = "Built by TensorRT for RTX without a GPU, and not run (MiB; seconds): "
    engines = [built + "; ".join(map(_engine, results.engines)) + "."] if results.engines else []
    notes = (
        f"Behind the purifier: `{results.purifier}`. D_suc on the shipped adversarial images; PL and accuracy on "
        f"{results.rows[0].images:,} test images. Times faster: throughput at batch {results.batch}, medians of "
        f"{results.rounds} interleaved rounds.",
        *engines,
        *results.notes,
    )
    return Table("Precisions", _HEADINGS, 3, 0, tuple(Row(_cells(row)) for row in results.rows), notes)


def _cells(row: PrecisionRow) -> tuple[Cell, ...]:
    shares = (row.agreement, row.pipeline_agreement, row.accuracy, row.pipeline_accuracy, row.d_suc, row.pl)
    return (
        Cell(row.classifier),
        Cell(row.precision),
        Cell(row.target),
        *(Cell(NOTHING if share is None else f"{100 * share:.2f} %") for share in shares),
        Cell(f"{row.nbytes / 2**20:.2f}"),
        Cell(NOTHING if row.times_faster is None else f"{row.times_faster:.2f}"),
    )


def _engine(row: EngineRow) -> str:
    lower = "" if row.precision == "fp32" else f", {percent(row.lower_share)} of its convolutions"
    return f"{row.classifier} {row.precision}{lower}, for {row.built_for}: {row.nbytes / 2**20:.2f}; {row.seconds:.1f}"

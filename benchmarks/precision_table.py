"""The table of the precisions, and that of the engines built of them."""

from collections.abc import Sequence

from pixelproof.benchmarks.formats import EngineRow, PrecisionResults, PrecisionRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, percent
from pixelproof.statistics import Share

_HEADINGS = (
    "classifier",
    "precision",
    "for",
    "decisions as in fp32",
    "purified decisions",
    "accuracy",
    "purified accuracy",
    "D_suc",
    "PL",
    "MiB",
    "times faster",
)


def precision_layouts(results: PrecisionResults) -> tuple[Table, ...]:
    """A row a classifier and precision; the engines, where any were built, in a table of their own."""
    return (_decisions(results), _engines(results.engines)) if results.engines else (_decisions(results),)


def _decisions(results: PrecisionResults) -> Table:
    notes = (
        f"Purified: behind `{results.purifier}`. D_suc of the shipped adversarial images that fool the classifier in "
        f"that precision; PL and accuracy on {results.rows[0].images:,} test images. Times faster: throughput at batch "
        f"{results.batch}, medians of {results.rounds} interleaved rounds.",
        *results.notes,
    )
    return Table("Precisions", _HEADINGS, 3, 0, tuple(Row(_cells(row)) for row in results.rows), notes)


def _cells(row: PrecisionRow) -> tuple[Cell, ...]:
    kept = (row.agreement, row.pipeline_agreement, row.accuracy, row.pipeline_accuracy)
    return (
        Cell(row.classifier),
        Cell(row.precision),
        Cell(row.target),
        *map(_percent, kept),
        _counted(row.d_suc),
        _percent(row.pl),
        Cell(f"{row.nbytes / 2**20:.2f}"),
        Cell(NOTHING if row.times_faster is None else f"{row.times_faster:.2f}"),
    )


def _percent(share: float | None) -> Cell:
    return Cell(NOTHING if share is None else f"{100 * share:.2f} %")


def _counted(share: Share | None) -> Cell:
    if share is None or share.value is None:
        return Cell(NOTHING)
    return Cell(f"{100 * share.value:.2f} %", f"{share.count} of {share.n}")


def _engines(engines: Sequence[EngineRow]) -> Table:
    """A row a classifier and precision, a column a device that the engines were built for."""
    devices = tuple(dict.fromkeys(engine.built_for for engine in engines))
    built: dict[tuple[str, str], dict[str, EngineRow]] = {}
    for engine in engines:
        built.setdefault((engine.classifier, engine.precision), {})[engine.built_for] = engine
    rows = []
    for (classifier, precision), by_device in built.items():
        share = min(engine.lower_share for engine in by_device.values())
        lower = Cell(NOTHING if precision == "fp32" else percent(share))
        figures = [_engine_cell(by_device.get(device)) for device in devices]
        rows.append(Row((Cell(classifier), Cell(precision), lower, *figures)))
    headings = ("classifier", "precision", "convolutions in it", *devices)
    notes = (
        "MiB, beside or below it the seconds of the build; a column a compute capability, or portable. Convolutions in "
        "it: of the classifier's; in int8 of all but the first, which stays in float.",
    )
    return Table("Engines built by TensorRT for RTX without a GPU; none was run", headings, 2, 0, tuple(rows), notes)


def _engine_cell(engine: EngineRow | None) -> Cell:
    return Cell(NOTHING) if engine is None else Cell(f"{engine.nbytes / 2**20:.2f}", f"{engine.seconds:.1f} s")

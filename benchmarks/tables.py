"""The defense table and the latency table, for Markdown, the terminal and the report."""

from collections.abc import Callable, Sequence
from typing import Any

from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.benchmarks.attack_speed_table import attack_speed_layout
from pixelproof.benchmarks.formats import (
    AttackSpeedResults,
    Conditions,
    DefenseResults,
    DefenseRow,
    KernelResults,
    LatencyResults,
    LatencyRow,
    LayerResults,
    PrecisionResults,
    Results,
    SoakResults,
    TechniqueResults,
)
from pixelproof.benchmarks.kernels_table import kernels_layout
from pixelproof.benchmarks.latency import STEADY
from pixelproof.benchmarks.layers_table import layers_layout
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table, escaped, markdown, percent, share_cell
from pixelproof.benchmarks.precision_table import precision_layouts
from pixelproof.benchmarks.soak_table import soak_layout
from pixelproof.benchmarks.techniques_table import techniques_layout

PAPER = "the paper's"

_DEFENSE_HEADINGS = (
    "classifier",
    "purifier",
    "method",
    "clean accuracy",
    "attack success",
    "success after",
    "D_suc",
    "PL",
    "adaptive success",
    "queries (adaptive)",
    "s/image (adaptive)",
    "n",
)
_DEFENSE_NOTES = (
    "Beside or below a percentage: its 95 % Wilson interval. n: the images attacked; clean accuracy (without the "
    "purifier) and PL are of all images of the data, D_suc is of the successes.",
    "Attack success: on the bare classifier. Success after: the share of the attacked images that fell and are still "
    "wrong once purified. D_suc: the share of successes that the purifier undoes. PL: the share of clean images, right "
    "without the purifier, that it gets wrong. Adaptive success: the attacker sees the purifier too, and tries what "
    "fooled the bare classifier; an image that the purifier gets wrong by itself has fallen, after no query.",
    "Queries: candidates up to the one that fooled the network, or all; median / 90th percentile of all images "
    "attacked. What ranks a sweep's candidates is not counted: one gradient an image of shipped networks, else a "
    "sweep of 128 queries. Seconds: of when each image was attacked, which may have been on another machine: finished "
    "images are taken from their records.",
)
_SILENT_NOTE = (
    "The adaptive attacker was not told which colors these let pass, did not try those, and is weaker than against a "
    "purifier that tells: "
)
_PAPER_NOTE = (
    "The paper's rows: its Table 4, differential evolution on 1,000 images. Its PL leaves out the images that an "
    "attack still fells once purified; the two agree closely where those are few."
)
_SHIELDED_NOTE = (
    "Adaptive success behind gated is too low: an independent attack felled 18 of LeNet's first 100 images, each "
    "confirmed by the exported bundle, where corners finds 10 and every search together 11. The searches here do not "
    "try shielded colors: those that pass whole because a neighbor, whose prediction the changed pixel spoils, has the "
    "larger error and is pulled back instead."
)
_LATENCY_HEADINGS = ("how", "batch", "p50 ms", "times bare", "p90 ms", "p99 ms", "variation", "images/s", "peak MiB")
_LATENCY_NOTES = (
    "Milliseconds a batch, from uint8 images to answers, timed in interleaved rounds. Times bare: p50 by the bare "
    "classifier's. Variation: standard deviation by mean. Images/s: at p50.",
    "Peak memory: of a process that does nothing else, interpreter and libraries included.",
)


def results_markdown(results: Results) -> str:
    """A result file's tables in Markdown, and the conditions they were measured under."""
    tables = map(markdown, results_layouts(results))
    facts = describe(results.conditions) | {"created": results.created}
    return "\n".join([*tables, *(f"- {name}: {escaped(fact)}" for name, fact in facts.items())]) + "\n"


def describe(conditions: Conditions) -> dict[str, str]:
    """The conditions by name, as texts; those that were not noted are left out."""
    facts = {
        "command": conditions.command,
        "data": conditions.data,
        "execution provider": conditions.provider,
        "processor": f"{conditions.cpu}, {conditions.cores} cores",
        "threads": "one a core" if conditions.threads is None else str(conditions.threads),
        "seed": "" if conditions.seed is None else str(conditions.seed),
        "versions": ", ".join(f"{name} {version}" for name, version in conditions.versions.items()),
    }
    return {name: fact for name, fact in facts.items() if fact}


def defense_layout(rows: Sequence[DefenseRow], more: Sequence[str] = ()) -> Table:
    """The defense table: the rows by classifier, each classifier's closed by the paper's row where there is one.

    `more` are notes of its own.
    """
    lines: list[Row] = []
    for classifier in dict.fromkeys(row.classifier for row in rows):
        ours = [row for row in rows if row.classifier == classifier]
        lines += [_defense_row(row) for row in ours]
        lines += [_paper_row(row) for row in ours if row.paper][:1]
    notes = [*_DEFENSE_NOTES]
    if silent := dict.fromkeys(row.purifier for row in rows if row.passed_colors is False):
        notes.append(_SILENT_NOTE + ", ".join(silent) + ".")
    if any(row.purifier == "gated" and row.adaptive_success for row in rows):
        notes.append(_SHIELDED_NOTE)
    if any(row.paper for row in rows):
        notes.append(_PAPER_NOTE)
    return Table("One-pixel attacks and the defense", _DEFENSE_HEADINGS, 3, 0, tuple(lines), (*notes, *more))


def latency_layout(results: LatencyResults) -> Table:
    """The latency table, batch size by batch size."""
    rows = tuple(Row(_latency_cells(row)) for row in results.rows)
    height, width = results.image_size
    caption = f"Latency: {results.subject}, images of {height}x{width}, {results.conditions.cpu}"
    notes = (*_LATENCY_NOTES, _providers(results.rows), *results.notes)
    return Table(caption, _LATENCY_HEADINGS, 1, 1, rows, notes)


def _defense_row(row: DefenseRow) -> Row:
    shares = (row.attack_success, row.success_after, row.defense_rate, row.performance_loss, row.adaptive_success)
    queries = _quantiles(row.queries_median, row.queries_p90)
    adaptive_queries = _quantiles(row.adaptive_queries_median, row.adaptive_queries_p90)
    seconds, adaptive_seconds = (_seconds(s) for s in (row.seconds_per_image, row.adaptive_seconds_per_image))
    return Row(
        (
            Cell(row.classifier),
            Cell(row.purifier if row.bundle is None else f"{row.purifier} ({row.bundle})"),
            Cell(_method(row)),
            share_cell(row.clean_accuracy),
            *(share_cell(share) for share in shares),
            Cell(queries or NOTHING, adaptive_queries),
            Cell(seconds or NOTHING, adaptive_seconds),
            Cell(f"{row.n:,}"),
        )
    )


def _method(row: DefenseRow) -> str:
    parts = [row.method]
    for name in ("population", "generations"):
        if (value := getattr(row, name)) not in (None, getattr(DifferentialEvolution, name)):
            parts.append(f"{name} {value:,}")
    if row.screen is not None:
        parts.append(f"screened in {row.screen}")
    if row.pixels != 1:
        parts.append(f"k={row.pixels}")
    return ", ".join(parts)


def _paper_row(row: DefenseRow) -> Row:
    paper = row.paper
    figures = paper and (paper.attack_success, paper.success_after, paper.defense_rate, paper.performance_loss)
    cells = [Cell(percent(figure)) for figure in figures or ()]
    nothing = Cell(NOTHING)
    names = (Cell(row.classifier), Cell(PAPER), Cell("de"))
    return Row((*names, nothing, *cells, nothing, nothing, nothing, Cell("1,000")), reported=True)


def _quantiles(median: float | None, p90: float | None) -> str:
    return "" if median is None or p90 is None else f"{median:,.0f} / {p90:,.0f}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:,.3f}"


def _latency_cells(row: LatencyRow) -> tuple[Cell, ...]:
    return (
        Cell(row.name),
        Cell(f"{row.batch:,}"),
        Cell(_milliseconds(row.p50_ms)),
        Cell(NOTHING if row.ratio is None else f"{row.ratio:.2f}"),
        Cell(_milliseconds(row.p90_ms)),
        Cell(_milliseconds(row.p99_ms)),
        Cell(percent(row.variation), warns=row.variation > STEADY),
        Cell(f"{row.images_per_second:,.0f}"),
        Cell(NOTHING if row.peak_memory_mib is None else f"{row.peak_memory_mib:,.0f}"),
    )


def _milliseconds(time: float) -> str:
    return f"{time:,.3f}"


def _providers(rows: Sequence[LatencyRow]) -> str:
    """Which rows ran on what."""
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        names.setdefault(row.provider, {})[f"'{row.name}'"] = None
    return "Ran on " + "; on ".join(f"{provider}: {', '.join(held)}" for provider, held in names.items()) + "."


_LAYOUTS: dict[type[Results], Callable[[Any], Table]] = {
    AttackSpeedResults: attack_speed_layout,
    KernelResults: kernels_layout,
    LatencyResults: latency_layout,
    LayerResults: layers_layout,
    SoakResults: soak_layout,
}


def results_layouts(results: Results) -> tuple[Table, ...]:
    """A result file's tables."""
    if isinstance(results, DefenseResults):
        return (defense_layout(results.rows, results.notes),)
    if isinstance(results, TechniqueResults):
        return (techniques_layout(results.rows),)
    if isinstance(results, PrecisionResults):
        return precision_layouts(results)
    return (_LAYOUTS[type(results)](results),)

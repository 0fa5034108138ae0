"""The page: result files to sections, sections to HTML."""

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING

from pixelproof.benchmarks.conditions import now
from pixelproof.benchmarks.formats import (
    AttackSpeedResults,
    AttackSpeedRow,
    DefenseResults,
    DefenseRow,
    KernelResults,
    LatencyResults,
    LayerResults,
    LayerRow,
    PrecisionResults,
    PrecisionRow,
    Results,
    SoakResults,
    TechniqueResults,
    TechniqueRow,
    TrainingResults,
)
from pixelproof.benchmarks.latency_ways import FUSED
from pixelproof.benchmarks.layout import Table
from pixelproof.benchmarks.report.bars import latency_plots
from pixelproof.benchmarks.report.curves import HEIGHT, WIDTH, learning_curves
from pixelproof.benchmarks.report.gallery import gallery
from pixelproof.benchmarks.report.headline import headlines
from pixelproof.benchmarks.report.heatmap import heat_maps
from pixelproof.benchmarks.results_file import read_results
from pixelproof.benchmarks.tables import defense_layout, describe, latency_layout, results_layouts
from pixelproof.errors import UsageError, missing_extra
from pixelproof.files import write_text

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent.parent / "templates"


def write_report(paths: Sequence[Path], target: Path) -> None:
    """Write the report on the result files `paths` to `target`, whole or not at all.

    Raises `UsageError` for anything that is no result file, or a target that is one of them or a folder;
    `PixelproofError` where jinja2 is not installed.
    """
    if target.is_dir():
        raise UsageError(f"'{target}' is a folder. Next: pixelproof report RESULTS -o {target / 'report.html'}")
    if target.resolve() in {path.resolve() for path in paths}:
        raise UsageError(f"'{target}' is one of the results. Next: pixelproof report RESULTS -o report.html")
    write_text(target, render_report([read_results(path) for path in paths]))


def render_report(results: Sequence[Results | TrainingResults]) -> str:
    """One HTML page on `results`, which refers to nothing outside itself."""
    defenses = [one for one in results if isinstance(one, DefenseResults)]
    latencies = [one for one in results if isinstance(one, LatencyResults)]
    heads = headlines(defenses, latencies)
    return _template().render(
        created=now(),
        headlines=heads,
        tables=_tables(defenses, latencies, results),
        latency_plots=latency_plots(latencies, FUSED),
        gallery=gallery(defenses, {(head.row.classifier, head.row.purifier) for head in heads}),
        maps=heat_maps(defenses),
        training=learning_curves([one for one in results if isinstance(one, TrainingResults)]),
        curve_size=(WIDTH, HEIGHT),
        conditions=[(_title(one), _facts(one)) for one in results],
    )


def _template() -> "Template":
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError:
        raise missing_extra("jinja2", "report", "writing a report") from None
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _tables(
    defenses: Sequence[DefenseResults],
    latencies: Sequence[LatencyResults],
    results: Sequence[Results | TrainingResults],
) -> dict[str, list[Table]]:
    rows = [row for defense in defenses for row in defense.rows]
    return {
        "defense": [defense_layout(rows)] if rows else [],
        "techniques": _layouts(results, TechniqueResults),
        "attack_speed": _layouts(results, _ATTACKING),
        "latency": [*map(latency_layout, latencies), *_layouts(results, SoakResults | PrecisionResults)],
    }


def _layouts(results: Sequence[Results | TrainingResults], kinds: type | UnionType) -> list[Table]:
    """The tables of those results that are of these kinds."""
    return [
        table
        for one in results
        if isinstance(one, kinds) and not isinstance(one, TrainingResults)
        for table in results_layouts(one)
    ]


def _facts(results: Results | TrainingResults) -> dict[str, str]:
    """What the figures have to be read with."""
    if not isinstance(results, TrainingResults):
        return describe(results.conditions) | {"measured": results.created}
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in results.figures.items())
    return {
        "command": results.command,
        "device": results.device,
        "time": f"{results.wall_time_s:,.0f} s",
        "images": f"{results.training_images:,} to learn from, {results.test_images:,} to test on",
        "outcome": figures,
        "versions": ", ".join(f"{name} {version}" for name, version in results.versions.items()),
    }


_ATTACKING = AttackSpeedResults | LayerResults | KernelResults
_SUBJECTS = {
    TechniqueResults: "Techniques in front of",
    AttackSpeedResults: "Speed of attacks on",
    PrecisionResults: "Precisions of",
    LayerResults: "What a changed pixel needs of",
    DefenseResults: "Attacks on",
}


def _title(results: Results | TrainingResults) -> str:
    if isinstance(results, TrainingResults):
        return f"Training of {results.name}"
    if isinstance(results, LatencyResults):
        return f"Latency of {results.subject}"
    if isinstance(results, SoakResults):
        return f"Soak of {results.classifier}"
    if isinstance(results, KernelResults):
        return f"A generation on {results.gpu}: {results.classifier}"
    return f"{_SUBJECTS[type(results)]} {_classifiers(results.rows)}"


def _classifiers(
    rows: Sequence[DefenseRow | TechniqueRow | AttackSpeedRow | LayerRow | PrecisionRow],
) -> str:
    return ", ".join(dict.fromkeys(row.classifier for row in rows))

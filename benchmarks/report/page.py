"""The report: result files in, one self-contained HTML page out, or their tables as CSV, LaTeX or Markdown."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.benchmarks.conditions import describe, now
from pixelproof.benchmarks.defense import DefenseResults, defense_table
from pixelproof.benchmarks.endurance import SoakResults
from pixelproof.benchmarks.latency import FUSED, LatencyResults
from pixelproof.benchmarks.precision import PrecisionResults
from pixelproof.benchmarks.report.gallery import gallery
from pixelproof.benchmarks.report.headline import headlines
from pixelproof.benchmarks.report.plots import (
    HEIGHT,
    WIDTH,
    TrainingResults,
    heat_maps,
    latency_plots,
    learning_curves,
)
from pixelproof.benchmarks.results import Results, read_results
from pixelproof.benchmarks.tables import Table, csv_text, latex, markdown
from pixelproof.benchmarks.techniques import TechniqueResults
from pixelproof.errors import UsageError, missing_extra
from pixelproof.files import write_text

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent.parent / "templates"
_WRITERS: dict[str, Callable[[Table], str]] = {".csv": csv_text, ".tex": latex, ".md": markdown}
"""Tables alone, by the suffix of the file that is asked for; any other suffix is the page."""


def write_report(paths: Sequence[Path], target: Path) -> None:
    """Write the report on the result files `paths` to `target`, whole or not at all.

    A target that ends in .csv, .tex or .md gets the tables alone, an empty line between two of them.

    Raises `UsageError` for anything that is no result file, or a target that is one of them or a folder;
    `PixelproofError` where jinja2 is not installed.
    """
    if target.is_dir():
        raise UsageError(f"'{target}' is a folder. Next: pixelproof report RESULTS -o {target / 'report.html'}")
    if target.resolve() in {written.resolve() for path in paths for written in (path, path.with_suffix(".md"))}:
        raise UsageError(f"'{target}' is one of the results. Next: pixelproof report RESULTS -o report.html")
    results = [read_results(path) for path in paths]
    if (write := _WRITERS.get(target.suffix)) is None:
        write_text(target, render_report(results))
    elif tables := [table for one in results for table in _own_tables(one)]:
        write_text(target, "\n".join(map(write, tables)))
    else:
        raise UsageError(f"there is no table in these results for '{target}'. Next: -o report.html")


def render_report(results: Sequence[Results | TrainingResults]) -> str:
    """One HTML page on `results`, which refers to nothing outside itself."""
    defenses = [one for one in results if isinstance(one, DefenseResults)]
    latencies = [one for one in results if isinstance(one, LatencyResults)]
    heads = headlines(defenses, latencies)
    return _template().render(
        created=now(),
        headlines=heads,
        tables=_tables(results),
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


def _tables(results: Sequence[Results | TrainingResults]) -> dict[str, list[Table]]:
    """The tables by the section of the page that they stand in; all defense rows in one table."""
    sections: dict[str, list[Table]] = {"defense": [], "techniques": [], "attack_speed": [], "latency": []}
    rows = [row for one in results if isinstance(one, DefenseResults) for row in one.rows]
    if rows:
        notes = dict.fromkeys(note for one in results if isinstance(one, DefenseResults) for note in one.notes)
        sections["defense"].append(defense_table(rows, tuple(notes)))
    for one in results:
        if isinstance(one, TechniqueResults):
            sections["techniques"] += one.tables()
        elif isinstance(one, LatencyResults | SoakResults | PrecisionResults):
            sections["latency"] += one.tables()
        elif not isinstance(one, DefenseResults):
            sections["attack_speed"] += _own_tables(one)
    return sections


def _own_tables(results: Results | TrainingResults) -> tuple[Table, ...]:
    return () if isinstance(results, TrainingResults) else results.tables()


def _title(results: Results | TrainingResults) -> str:
    return f"Training of {results.name}" if isinstance(results, TrainingResults) else results.title()


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

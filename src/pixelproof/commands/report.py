"""`pixelproof report`: benchmark results as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="JSON files of pixelproof bench, or beside trained weights.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The HTML file; .csv, .tex or .md: the tables alone.")
    ] = Path("report.html"),
) -> None:
    """Write tables, attacked images, maps and learning curves of results as one HTML file that needs nothing else."""
    from pixelproof.benchmarks.report import write_report

    write_report(results, output)
    typer.echo(output)

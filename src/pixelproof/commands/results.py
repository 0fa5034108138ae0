"""What every measuring command ends with: its tables or JSON on stdout, and its result files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pixelproof.benchmarks.formats import Results


def deliver(results: "Results", output: Path | None, *, as_json: bool) -> None:
    """Print `results`, and write them to `output` where one is given."""
    from pixelproof.benchmarks.layout import print_table
    from pixelproof.benchmarks.results_file import result_paths, to_json, write_results
    from pixelproof.benchmarks.tables import results_layouts

    if as_json:
        typer.echo(json.dumps(to_json(results), indent=2))
    else:
        for number, table in enumerate(results_layouts(results)):
            if number:
                typer.echo()
            print_table(table)
    if output is not None:
        write_results(output, results)
        typer.echo(f"wrote {' and '.join(map(str, result_paths(output)))}", err=True)

"""`pixelproof doctor`: what this machine can run, and the command that mends what it can't."""

import dataclasses
import json

import typer

from pixelproof.commands.options import AsJson
from pixelproof.commands.tables import print_table


def doctor(
    as_json: AsJson = False,
) -> None:
    """Say what this machine can run and how to mend the rest; exit code 1 when bundles do not run on its CPU."""
    from pixelproof.commands.diagnosis import diagnose, runs_bundles

    findings = diagnose()
    works = runs_bundles(findings)
    if as_json:
        summary = {"runs_bundles": works, "findings": [dataclasses.asdict(finding) for finding in findings]}
        typer.echo(json.dumps(summary, indent=2))
    else:
        print_table((finding.state, finding.subject, finding.found) for finding in findings)
        remedies = [(finding.subject, finding.remedy) for finding in findings if finding.remedy]
        if remedies:
            typer.echo("\nto mend or add:")
            print_table(remedies)
        typer.echo(f"\nbundles {'run' if works else 'do not run'} on this machine's CPU")
    if not works:
        raise typer.Exit(1)

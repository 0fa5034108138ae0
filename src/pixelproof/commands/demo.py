"""`pixelproof demo`: the whole job on the shipped models and images; `report`: results as one HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pixelproof.commands.options import typed
from pixelproof.errors import UsageError, quote, resumable
from pixelproof.files import check_writable

if TYPE_CHECKING:
    from pixelproof.benchmarks.defense import DefenseResults

# (classifier, purifiers, images to attack): what two cores do in a few minutes
STAGES = (("lenet", ("median", "autoencoder", "gated"), 32), ("resnet", ("gated",), 6))
TIMED = "resnet-gated"


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="The report.")] = Path("report.html"),
    folder: Annotated[Path, typer.Option(help="Where bundles and results go.")] = Path("runs/demo"),
) -> None:
    """Export, attack, defend and time LeNet and ResNet-32 on the shipped images, and write the report."""
    command = typed()
    with resumable(f"what is done is kept in '{folder}'"):
        _run(output, folder, command)


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


def _run(output: Path, folder: Path, command: str) -> None:
    from pixelproof.benchmarks.defense import defense_table
    from pixelproof.benchmarks.latency import bench_latency
    from pixelproof.benchmarks.latency_ways import let_idle_threads_sleep
    from pixelproof.benchmarks.report import write_report
    from pixelproof.benchmarks.results import write_results
    from pixelproof.benchmarks.tables import print_table
    from pixelproof.commands.progress import stages

    if output.is_dir():
        raise UsageError(f"'{output}' is a folder, not a report. Next: -o {quote(output / 'report.html')}")
    check_writable(output)
    let_idle_threads_sleep()
    typer.echo("1/4 export: purifier and classifier as one graph, compared with PyTorch in a fresh process", err=True)
    bundles = _export(folder / "bundles")
    typer.echo("2/4 attack and defend: one pixel, transferred and adaptive", err=True)
    defense = _defend(bundles, folder, command)
    typer.echo("3/4 latency: interleaved rounds", err=True)
    with stages() as progress:
        latency = bench_latency(
            folder / "bundles" / TIMED, batches=(1, 64), rounds=20, command=command, progress=progress
        )
    typer.echo("4/4 report", err=True)
    files = [folder / "defense.json", folder / "latency.json"]
    write_results(files[0], defense)
    write_results(files[1], latency)
    write_report(files, output)
    print_table(defense_table(defense.rows))
    print_table(latency.tables()[0])
    typer.echo(f"report: {output.resolve()}")


def _export(folder: Path) -> Sequence[tuple[Path, int]]:
    from pixelproof.export import export_bundle

    bundles = []
    for classifier, purifiers, images in STAGES:
        for purifier in purifiers:
            target = folder / f"{classifier}-{purifier}"
            typer.echo(f"  {target.name}", err=True)
            export_bundle(classifier, target, purifier=purifier, force=True)
            bundles.append((target, images))
    return bundles


def _defend(bundles: Sequence[tuple[Path, int]], folder: Path, command: str) -> "DefenseResults":
    from pixelproof.attack.evaluation import DataChoice, Settings
    from pixelproof.benchmarks.defense import bench_defense, merge_results
    from pixelproof.commands.progress import attack_progress

    choice = DataChoice.sample()
    with attack_progress() as progress:
        return merge_results(
            [
                bench_defense(
                    [bundle],
                    choice,
                    Settings(images=images),
                    records=folder / "records",
                    command=command,
                    report=progress,
                )
                for bundle, images in bundles
            ]
        )

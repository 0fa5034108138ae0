"""The command line: collects the subcommands."""

from typing import Annotated

import typer

import pixelproof
from pixelproof.commands.attack import attack
from pixelproof.commands.bench import bench
from pixelproof.commands.bench_defense import defense
from pixelproof.commands.build_engine import build_engine
from pixelproof.commands.classify import classify
from pixelproof.commands.data import data
from pixelproof.commands.demo import demo, report
from pixelproof.commands.doctor import doctor
from pixelproof.commands.export import export, export_triton
from pixelproof.commands.inspect import inspect
from pixelproof.commands.options import WithOldNames
from pixelproof.commands.train import train

app = typer.Typer(
    name="pixelproof",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Harden an image classifier against one-pixel attacks, and measure what still gets through.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pixelproof {pixelproof.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


app.command(name="demo")(demo)
app.add_typer(data, name="data")
app.add_typer(bench, name="bench")
app.command(name="train")(train)
app.command(name="export")(export)
app.command(name="build-engine")(build_engine)
app.command(name="export-triton")(export_triton)
app.command(name="classify")(classify)
app.command(name="attack", cls=WithOldNames)(attack)
bench.command(name="defense", cls=WithOldNames)(defense)
app.command(name="inspect")(inspect)
app.command(name="report")(report)
app.command(name="doctor")(doctor)

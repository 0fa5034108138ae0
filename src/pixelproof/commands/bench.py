"""`pixelproof bench`: measure a bundle."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pixelproof.errors import UsageError

bench = typer.Typer(no_args_is_help=True, help="Measure what attacks still do to a bundle and what protection costs.")


@bench.command()
def latency(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    batch: Annotated[str, typer.Option(help="Images a call; several sizes separated by commas.")] = "1,8,64,256",
    rounds: Annotated[int, typer.Option(min=1, help="How often each row is timed at each batch size.")] = 100,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads a call may use.", show_default="one a core")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, cuda or cpu.")] = "auto",
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="BUNDLE", help="Time this one too: the same networks in int8, say.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Time torch.compile too, which takes it a minute or two.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write results as JSON here, and as Markdown beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time the fused graph against two ONNX sessions, eager PyTorch and the bare classifier, in interleaved rounds."""
    from pixelproof.benchmarks.latency_bundle import bench_latency
    from pixelproof.benchmarks.layout import print_table
    from pixelproof.benchmarks.results_file import result_paths, to_json, write_results
    from pixelproof.benchmarks.tables import latency_layout
    from pixelproof.commands.progress import stages

    batches = _batches(batch)
    if output is not None:
        result_paths(output)
    with stages() as progress:
        results = bench_latency(
            bundle,
            batches=batches,
            rounds=rounds,
            threads=threads,
            backend=backend,
            beside=beside or [],
            compiled=compiled,
            command=shlex.join(["pixelproof", *sys.argv[1:]]),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(to_json(results), indent=2))
    else:
        print_table(latency_layout(results))
    if output is not None:
        write_results(output, results)


def _batches(asked: str) -> list[int]:
    try:
        batches = sorted({int(size) for size in asked.split(",")})
    except ValueError:
        batches = [0]
    if batches[0] < 1:
        raise UsageError(f"--batch takes whole numbers of 1 or more, got '{asked}'. Next: --batch 1,8,64,256")
    return batches

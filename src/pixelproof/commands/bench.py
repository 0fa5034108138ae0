"""`pixelproof bench`: measure a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Results, Threads, typed
from pixelproof.errors import UsageError

bench = typer.Typer(no_args_is_help=True, help="Measure what attacks still do to a bundle and what protection costs.")


@bench.command()
def latency(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    batch: Annotated[str, typer.Option(help="Images a call; several sizes separated by commas.")] = "1,8,64,256",
    rounds: Annotated[int, typer.Option(min=1, help="How often each row is timed at each batch size.")] = 100,
    threads: Threads = None,
    backend: Annotated[str, typer.Option(help="auto, or a name; pixelproof doctor lists them.")] = "auto",
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="BUNDLE", help="Time this one too: the same networks in int8, say.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Time torch.compile too, which takes it a minute or two.")
    ] = False,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time the fused graph against two ONNX sessions, eager PyTorch and the bare classifier, in interleaved rounds."""
    from pixelproof.benchmarks.latency_bundle import bench_latency
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver

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
            command=typed(),
            progress=progress,
        )
    deliver(results, output, as_json=as_json)


def _batches(asked: str) -> list[int]:
    try:
        batches = sorted({int(size) for size in asked.split(",")})
    except ValueError:
        batches = [0]
    if batches[0] < 1:
        raise UsageError(f"--batch takes whole numbers of 1 or more, got '{asked}'. Next: --batch 1,8,64,256")
    return batches

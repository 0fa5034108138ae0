"""`pixelproof bench layers`: what a changed pixel needs of each layer."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Results, Threads, typed


def layers(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles' folders; their classifiers are analyzed.")
    ],
    rounds: Annotated[int, typer.Option(min=1, help="How often a batch of candidates is timed.")] = 10,
    threads: Threads = None,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Reckon how much of each layer's arithmetic a changed pixel needs, and time what an attack gains by it."""
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver
    from pixelproof.errors import missing_extra

    if output is not None:
        result_paths(output)
    try:
        from pixelproof.benchmarks.layers import bench_layers
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "onnx", "export", "taking a classifier apart") from None
    with stages() as progress:
        results = bench_layers(
            bundles,
            rounds=rounds,
            threads=threads,
            command=typed(),
            progress=progress,
        )
    deliver(results, output, as_json=as_json)

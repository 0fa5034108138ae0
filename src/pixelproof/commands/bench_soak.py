"""`pixelproof bench soak`: the same work over and over."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Results, Threads, typed


def soak(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    rounds: Annotated[int, typer.Option(min=1, help="How often it is opened, run and closed.")] = 10_000,
    images: Annotated[int, typer.Option(min=1, help="Images through one opened pipeline.")] = 1_000_000,
    backend: Annotated[str, typer.Option(help="auto, or a backend's name.")] = "auto",
    threads: Threads = None,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Open, run and close a bundle many times and run many images, watching memory; time cold processes."""
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.benchmarks.soak import bench_soak
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver

    if output is not None:
        result_paths(output)
    with stages() as progress:
        results = bench_soak(
            bundle,
            rounds=rounds,
            images=images,
            backend=backend,
            threads=threads,
            command=typed(),
            progress=progress,
        )
    deliver(results, output, as_json=as_json)

"""`pixelproof bench kernels`: a generation on the GPU, part by part."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Results, typed


def kernels(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    images: Annotated[int, typer.Option(min=1, help="Images whose whole budget of candidates is evaluated.")] = 1000,
    purified: Annotated[
        bool, typer.Option("--purified", help="The whole pipeline in place of the bare classifier.")
    ] = False,
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time the attack's CUDA kernels, the network between them, and a whole attack's candidates; needs a GPU."""
    from pixelproof.attack.cuda import open_device
    from pixelproof.benchmarks.kernels import bench_kernels
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver
    from pixelproof.runtime import read_bundle

    if output is not None:
        result_paths(output)
    read_bundle(bundle)
    command = typed()
    with open_device() as device, stages() as progress:
        results = bench_kernels(bundle, device, images=images, purified=purified, command=command, progress=progress)
    deliver(results, output, as_json=as_json)

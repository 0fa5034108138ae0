"""`pixelproof bench techniques`: purifiers beside the usual input transformations."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pixelproof.errors import Interrupted


def techniques(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Bundles' folders, their purifiers compared."),
    ],
    data: Annotated[
        Path | None, typer.Option(help="CIFAR-10: a folder or .tar.gz.", show_default="$PIXELPROOF_DATA, user cache")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Attack the 200 shipped images instead.")] = False,
    images: Annotated[int, typer.Option(min=1, help="Attack the first so many that the classifier gets right.")] = 200,
    adaptive_images: Annotated[
        int, typer.Option(min=0, help="Attack the first so many of them behind each technique that takes under 2 ms.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the attack's randomness.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads a call may use.", show_default="one a core")
    ] = None,
    records: Annotated[
        Path, typer.Option(help="Folder of each image's outcome; the same command resumes from there.")
    ] = Path("runs/defense"),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write results as JSON here, and as Markdown beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare purifiers with median filter, blur, bit depth, JPEG and total variation, on the same attacked images."""
    from pixelproof.benchmarks.defence import DataChoice
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.benchmarks.techniques import TechniqueSettings, bench_techniques
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver

    if output is not None:
        result_paths(output)
    try:
        with stages() as progress:
            results = bench_techniques(
                bundles,
                DataChoice.sample() if sample else DataChoice.test_set(data),
                TechniqueSettings(images=images, adaptive_images=adaptive_images, seed=seed),
                folder=records,
                command=shlex.join(["pixelproof", *sys.argv[1:]]),
                threads=threads,
                report=lambda stage, done: progress(stage, done.finished, done.images),
            )
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; finished images are kept in '{records}'. Next: the same command goes on") from None
    deliver(results, output, as_json=as_json)

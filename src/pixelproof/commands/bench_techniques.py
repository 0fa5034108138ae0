"""`pixelproof bench techniques`: purifiers beside the usual input transformations."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Data, OwnCode, Results, Sample, Screen, Threads, check_data, typed
from pixelproof.errors import resumable


def techniques(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Bundles' folders, their purifiers compared."),
    ],
    data: Data = None,
    sample: Sample = False,
    images: Annotated[int, typer.Option(min=1, help="Attack the first so many that the classifier gets right.")] = 200,
    adaptive_images: Annotated[
        int, typer.Option(min=0, help="Attack the first so many of them behind each technique that takes under 2 ms.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the attack's randomness.")] = 0,
    screen: Screen = None,
    own_code: OwnCode = False,
    threads: Threads = None,
    records: Annotated[
        Path, typer.Option(help="Folder of what came of each image; the same command resumes from there.")
    ] = Path("runs/defense"),
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Compare purifiers with median filter, blur, bit depth, JPEG and total variation, on the same attacked images."""
    from pixelproof.attack.evaluation import DataChoice
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.benchmarks.techniques import TechniqueSettings, bench_techniques
    from pixelproof.commands.progress import attack_progress
    from pixelproof.commands.results import deliver

    check_data(data, sample)
    if output is not None:
        result_paths(output)
    with resumable(f"finished images are kept in '{records}'"), attack_progress() as progress:
        results = bench_techniques(
            bundles,
            DataChoice.sample() if sample else DataChoice.at(data, bundles[0]),
            TechniqueSettings(images, adaptive_images, seed=seed, screen=screen, own_code=own_code),
            folder=records,
            command=typed(),
            threads=threads,
            report=progress,
        )
    deliver(results, output, as_json=as_json)

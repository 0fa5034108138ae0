"""`pixelproof bench attack`: how fast the attacks are, beside other projects'."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import AsJson, Data, Results, Sample, Threads, check_data, typed
from pixelproof.errors import UsageError, resumable


def attack_speed(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles' folders, each of a shipped classifier.")
    ],
    data: Data = None,
    sample: Sample = False,
    images: Annotated[
        str,
        typer.Option(
            help="Attack the first so many that the classifier gets right; one number, or one a bundle: 50,10."
        ),
    ] = "50",
    generations: Annotated[int, typer.Option(min=1, help="Of differential evolution, after the first.")] = 75,
    population: Annotated[int, typer.Option(min=25, help="Of differential evolution.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of the attacks' randomness.")] = 0,
    threads: Threads = None,
    records: Annotated[
        Path, typer.Option(help="Folder of each image's outcome; the same command resumes from there.")
    ] = Path("runs/attack-speed"),
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time corners and differential evolution against ART's PixelAttack and torchattacks' OnePixel, image by image."""
    from pixelproof.benchmarks.latency_ways import let_idle_threads_sleep

    let_idle_threads_sleep()
    from pixelproof.attack.evaluation import DataChoice
    from pixelproof.benchmarks.attack_speed import AttackSpeedSettings, bench_attack
    from pixelproof.benchmarks.attack_speed.peers import Budget
    from pixelproof.benchmarks.results_file import result_paths
    from pixelproof.commands.progress import stages
    from pixelproof.commands.results import deliver

    check_data(data, sample)
    if output is not None:
        result_paths(output)
    settings = AttackSpeedSettings(_counts(images), Budget(generations, population, seed))
    with resumable(f"finished images are kept in '{records}'"), stages() as progress:
        results = bench_attack(
            bundles,
            DataChoice.sample() if sample else DataChoice.at(data, bundles[0]),
            settings,
            folder=records,
            command=typed(),
            threads=threads,
            progress=progress,
        )
    deliver(results, output, as_json=as_json)


def _counts(asked: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(count) for count in asked.split(","))
    except ValueError:
        counts = (0,)
    if min(counts) < 1:
        raise UsageError(f"--images takes whole numbers of 1 or more, got '{asked}'. Next: --images 50,10")
    return counts

"""`pixelproof bench defense`: the defense table."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import (
    AsJson,
    AttackBackend,
    Cascade,
    Data,
    Generations,
    OwnCode,
    Population,
    Records,
    Results,
    Sample,
    Threads,
    check_data,
    typed,
)
from pixelproof.errors import resumable, unknown_name


def defense(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles' folders, each with a purifier.")],
    data: Data = None,
    sample: Sample = False,
    images: Annotated[int, typer.Option(min=1, help="Attack the first so many that the classifier gets right.")] = 200,
    method: Annotated[str, typer.Option(help="corners, levels, de, or strongest (all of them).")] = "corners",
    protocol: Annotated[str, typer.Option(help="transfer alone, or transfer, then adaptive.")] = "adaptive",
    pixels: Annotated[int, typer.Option(min=1, help="Pixels that may change.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the attack's randomness.")] = 0,
    population: Population = 400,
    generations: Generations = 100,
    cascade: Cascade = None,
    own_code: OwnCode = False,
    attack_backend: AttackBackend = "auto",
    threads: Threads = None,
    records: Records = Path("runs/records"),
    output: Results = None,
    as_json: AsJson = False,
) -> None:
    """Attack each bundle's bare classifier and its whole pipeline, and put the paper's figures beside ours."""
    from pixelproof.attack.evaluation.settings import PROTOCOLS
    from pixelproof.attack.methods import METHODS

    if protocol == "both":  # its name in earlier versions
        typer.echo("--protocol both is --protocol adaptive now; the next release has that one", err=True)
        protocol = "adaptive"
    if method not in METHODS:
        raise unknown_name("method", method, METHODS, "pixelproof bench defense --method NAME")
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS, "pixelproof bench defense --protocol NAME")
    from pixelproof.attack.evaluation import DataChoice, Settings
    from pixelproof.attack.evaluation.device import open_attack_device, ran_on
    from pixelproof.benchmarks.defense import bench_defense
    from pixelproof.commands.bench import check_output, deliver
    from pixelproof.commands.progress import attack_progress

    check_output(output)
    settings = Settings(
        method=method,
        images=images,
        pixels=pixels,
        seed=seed,
        adaptive=protocol == "adaptive",
        cascade=cascade,
        own_code=own_code,
        population=population,
        generations=generations,
    )
    check_data(data, sample)
    chosen = DataChoice.sample() if sample else DataChoice.at(data, bundles[0])
    command = typed()
    with (
        resumable(f"finished images are kept in '{records}'"),
        open_attack_device(attack_backend, method, bundles, pixels=pixels, cascade=cascade) as device,
        attack_progress() as progress,
    ):
        place = ran_on(method, device)
        results = bench_defense(
            bundles,
            chosen,
            settings,
            records=records,
            threads=threads,
            command=command,
            device=device,
            report=progress,
        )
    if place:
        typer.echo(place, err=True)
    deliver(results, output, as_json=as_json)

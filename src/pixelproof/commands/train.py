"""`pixelproof train`: train a shipped classifier or purifier."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pixelproof.commands.options import Cifar10
from pixelproof.errors import BackendError, UsageError, missing_extra, unknown_name


def train(
    name: Annotated[
        str | None, typer.Argument(help="A shipped network: a classifier's name, autoencoder or gated.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All networks, one after the other.")] = False,
    data: Cifar10 = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The weights file.", show_default="runs/NAME/NAME.safetensors")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of checkpoint and log.", show_default="runs/NAME")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of first weights, order and augmentation.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's, which are more on a GPU.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a classifier or purifier on CIFAR-10, or --all; the same command resumes where it stopped."""
    from pixelproof.commands.progress import training_progress
    from pixelproof.models.data import data_sha256, load_cifar10

    names = _names(name, every, output, run)
    try:
        from pixelproof.models.training import recipe_for
        from pixelproof.models.training import train as run_training
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", "training") from error

    chosen = _device(device)
    training, test, hashes = load_cifar10("train", data), load_cifar10("test", data), data_sha256(data)
    train_one = partial(
        run_training, training=training, test=test, seed=seed, epochs=epochs, device=chosen, data_hashes=hashes
    )
    for each in names:
        folder = run or Path("runs") / each
        with training_progress(each, recipe_for(each, epochs, chosen).epochs) as (step, report):
            weights = output or folder / f"{each}.safetensors"
            record = train_one(each, output=weights, run=folder, progress=step, on_epoch=report)
        typer.echo(f"{weights}: {_figures(record['figures'])} on {record['test_images']:,} test images")


def _names(name: str | None, every: bool, output: Path | None, run: Path | None) -> tuple[str, ...]:
    """What to train."""
    from pixelproof.models import TRAINABLE, check_trainable

    if every == (name is not None):
        asked = f"'{name}' and --all" if every else "neither a name nor --all"
        raise UsageError(f"got {asked}; there are: {', '.join(TRAINABLE)}. Next: pixelproof train NAME, or --all")
    if name is None:
        if output is not None or run is not None:
            raise UsageError("--output and --run are one network's, and --all trains many. Next: leave them out")
        return TRAINABLE
    check_trainable(name)
    return (name,)


def _device(asked: str) -> str:
    import torch

    if asked not in {"auto", "cpu", "cuda"}:
        raise unknown_name("device", asked, ("auto", "cpu", "cuda"), "pixelproof train NAME --device auto")
    has_gpu = torch.cuda.is_available()
    if asked == "cuda" and not has_gpu:
        raise BackendError("--device cuda was asked for, and PyTorch finds no GPU here. Next: pixelproof doctor")
    return ("cuda" if has_gpu else "cpu") if asked == "auto" else asked


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())

"""`pixelproof train`: train a shipped classifier or purifier."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.errors import BackendError, missing_extra, unknown_name


def train(
    name: Annotated[str, typer.Argument(help="A shipped network: lenet, resnet, autoencoder, gated.")],
    data: Annotated[
        Path | None, typer.Option(help="CIFAR-10: a folder or .tar.gz.", show_default="$PIXELPROOF_DATA, user cache")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The weights file.", show_default="runs/NAME/NAME.safetensors")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of checkpoint and log.", show_default="runs/NAME")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of first weights, order and augmentation.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a classifier or purifier on CIFAR-10; the same command resumes where it stopped."""
    from pixelproof.models import check_trainable
    from pixelproof.models.data import data_sha256, load_cifar10

    check_trainable(name)
    try:
        from pixelproof.models.training import recipe_for
        from pixelproof.models.training import train as run_training
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", "training") from error
    from pixelproof.commands.progress import training_progress

    folder = run or Path("runs") / name
    target = output or folder / f"{name}.safetensors"
    chosen = _device(device)
    training, test, hashes = load_cifar10("train", data), load_cifar10("test", data), data_sha256(data)
    with training_progress(name, recipe_for(name, epochs).total_epochs) as (step, report):
        record = run_training(
            name,
            training,
            test,
            output=target,
            run=folder,
            seed=seed,
            epochs=epochs,
            device=chosen,
            data_hashes=hashes,
            progress=step,
            on_epoch=report,
        )
    typer.echo(f"{target}: {_figures(record['figures'])} on {record['test_images']:,} test images")


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

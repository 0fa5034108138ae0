"""One training run from start or checkpoint to a weights file with its provenance."""

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

import pixelproof
from pixelproof.errors import DataError, Interrupted, UsageError
from pixelproof.files import check_writable, write_text
from pixelproof.models.data import ImageSet
from pixelproof.models.recipe import Recipe
from pixelproof.models.registry import (
    NETWORKS,
    PURIFIERS,
    build_classifier,
    build_purifier,
    check_trainable,
    recipe_for,
)
from pixelproof.models.training.checkpoint import Checkpoint
from pixelproof.models.training.loop import Loop, Progress, evaluate
from pixelproof.models.training.tasks import TASKS, Task
from pixelproof.models.weights import halve, save_weights

GLANCE = 2000  # test images that an epoch's log entry is measured on; the provenance is measured on all


def train(
    name: str,
    training: ImageSet,
    test: ImageSet,
    *,
    output: Path,
    run: Path,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
    data_hashes: dict[str, str] | None = None,
    progress: Progress = lambda *_: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Train the network `name`, going on from the run's last full epoch, and write its weights.

    Args:
        name: one of `TRAINABLE`.
        training: images to learn from, uint8 `(n, H, W, 3)`.
        test: images to measure on after each epoch; nothing is chosen by them.
        output: the weights file, `.safetensors`; the provenance is written beside it as `.json`.
        run: folder of the checkpoint and `log.jsonl`.
        seed: of first weights, order and augmentation.
        epochs: instead of the recipe's.
        device: "cpu" or "cuda".
        data_hashes: SHA-256 of each data file, for the provenance.
        progress: called every few steps.
        on_epoch: called with each epoch's log entry.

    Returns:
        The provenance that was written.

    Raises:
        UsageError: no such network, or an output that is no `.safetensors`.
        OSError: nothing can be written to the output; raised before the training.
        DataError: fewer training images than a batch takes.
        WeightsError: the run folder holds a damaged checkpoint, or a run with other settings.
        Interrupted: Ctrl-C; full epochs are kept.
    """
    recipe = _checked_recipe(name, epochs, device, output, len(training))
    settings = {"name": name, "seed": seed, "recipe": recipe.settings(), "images": len(training)}
    checkpoint = Checkpoint.load(run / "checkpoint.safetensors", settings)
    _write_log(run, checkpoint.history)  # a kill may have come between checkpoint and log
    torch.manual_seed(seed)
    task = make_task(name, recipe, device)
    loop = Loop(task, recipe, *to_tensors(training, device), seed)
    loop.load(checkpoint)
    test_tensors = to_tensors(test, device)
    _train_epochs(loop, checkpoint, run, test_tensors, progress, on_epoch)
    if recipe.half_precision:
        halve(loop.average)
    record = describe(name, settings, checkpoint.history, device, data_hashes or {})
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # float32 on a GPU too, as it is shipped
        record |= {"figures": evaluate(task, loop.average, *test_tensors), "test_images": len(test)}
    record["parameters"] = sum(p.numel() for p in loop.average.parameters())
    save_weights(loop.average, output, record, half=recipe.half_precision)
    return record


def make_task(name: str, recipe: Recipe, device: str) -> Task:
    """The untrained network `name` on `device`, with what it is to learn."""
    build = build_purifier if name in PURIFIERS else build_classifier
    module = build(name, trained=False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    kind = NETWORKS[name].task
    assert kind is not None
    return TASKS[kind](module, recipe)


def to_tensors(data: ImageSet, device: str) -> tuple[Tensor, Tensor]:
    """Images as uint8 `(n, 3, H, W)` and labels as int64 `(n,)` on `device`."""
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2).contiguous()
    return images.to(device), torch.from_numpy(data.labels).to(device)


def _checked_recipe(name: str, epochs: int | None, device: str, output: Path, images: int) -> Recipe:
    check_trainable(name)
    recipe = recipe_for(name, epochs, device)
    if output.suffix != ".safetensors":
        right = output.with_suffix(".safetensors")
        raise UsageError(f"weights are written as .safetensors, and '{output}' is none. Next: give --output {right}")
    check_writable(output)
    if images < recipe.batch_size:
        raise DataError(
            f"training {name} takes {recipe.batch_size} images a step, and the training set has {images}. "
            "Next: give a larger one"
        )
    return recipe


def _train_epochs(
    loop: Loop,
    checkpoint: Checkpoint,
    run: Path,
    test: tuple[Tensor, Tensor],
    progress: Progress,
    on_epoch: Callable[[dict[str, Any]], None],
) -> None:
    kept = loop.epoch
    try:
        for speed in loop.epochs(progress):
            entry = speed | evaluate(loop.task, loop.average, *(each[:GLANCE] for each in test))
            checkpoint.history.append(entry)
            loop.save(checkpoint)
            checkpoint.save(run / "checkpoint.safetensors")
            kept = loop.epoch
            _write_log(run, checkpoint.history)
            on_epoch(entry)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped training {checkpoint.run['name']}; {kept} of {loop.recipe.epochs} epochs are done and kept "
            f"in '{run}'. Next: the same command goes on from there"
        ) from None


def _write_log(run: Path, history: list[dict[str, Any]]) -> None:
    write_text(run / "log.jsonl", "".join(json.dumps(entry) + "\n" for entry in history))


def describe(
    name: str, settings: dict[str, Any], history: list[dict[str, Any]], device: str, data_hashes: dict[str, str]
) -> dict[str, Any]:
    """The provenance of a finished run, but for its figures."""
    own = settings["recipe"] == recipe_for(name, device=device).settings()
    options = f"--seed {settings['seed']}" + (" --device cuda" if device == "cuda" else "")
    return {
        "kind": "training",
        "format_version": 1,
        "name": name,
        "command": f"pixelproof train {name} {options}" + ("" if own else f" --epochs {len(history)}"),
        "seed": settings["seed"],
        "epochs": len(history),
        "recipe": settings["recipe"],
        "training_images": settings["images"],
        "wall_time_s": round(sum(entry["seconds"] for entry in history), 1),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {os.cpu_count()} cores",
        "versions": {
            "pixelproof": pixelproof.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "safetensors": safetensors.__version__,
        },
        "data_sha256": data_hashes,
        "history": history,
    }

"""The shipped networks: to add one, write its file, list it here, and train it.

Nothing here imports PyTorch until a network is built.
"""

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pixelproof import vector_math
from pixelproof.errors import missing_extra, unknown_name
from pixelproof.files import sha256_file
from pixelproof.models.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

_WHITENED = Recipe(epochs=1, label_smoothing=0.05, whitened=True, half_precision=True)


@dataclass(frozen=True)
class Network:
    """A shipped network: all that is known of it. Its weights are `weights/NAME.safetensors`.

    Attributes:
        where: "module:class" in this folder.
        title: what it is called in prose.
        task: what it learns, one of `TASKS` in `training/tasks.py`; None: it has nothing to learn, and no weights.
        recipe: how it is trained.
        on_gpu: in place of that on a GPU, where it takes minutes; None: the same.
    """

    where: str
    title: str
    task: str | None = "classification"
    recipe: Recipe | None = None
    on_gpu: Recipe | None = None


_CLASSIFIERS: dict[str, Network] = {
    "lenet": Network(
        "lenet:LeNet",
        "LeNet",
        recipe=Recipe(
            epochs=90,
            batch_size=256,
            optimizer="adamw",
            peak_rate=6e-3,
            weight_decay=4e-2,
            averaging=0.999,
            crop_margin=2,
        ),
    ),
    "pure_cnn": Network(
        "pure_cnn:PureCNN",
        "PureCNN",
        recipe=Recipe(epochs=12, peak_rate=0.2, label_smoothing=0.05, sides=((0.5, 20),), half_precision=True),
    ),
    "nin": Network(
        "nin:NiN",
        "NiN",
        recipe=replace(_WHITENED, epochs=20, peak_rate=0.2, sides=((0.4, 16), (0.6, 24))),
        on_gpu=replace(_WHITENED, epochs=40, peak_rate=0.2, sides=((0.2, 16), (0.4, 24))),
    ),
    "resnet": Network(
        "resnet:ResNet",
        "ResNet-32",
        recipe=Recipe(epochs=40, peak_rate=0.25, label_smoothing=0.05, sides=((0.3, 20),)),
    ),
    "densenet": Network(
        "densenet:DenseNet",
        "DenseNet",
        recipe=replace(_WHITENED, epochs=20, peak_rate=0.25, sides=((0.4, 16), (0.7, 24))),
        on_gpu=replace(_WHITENED, epochs=28, batch_size=256, peak_rate=0.4),  # as fast there on larger images
    ),
    "wide_resnet": Network(
        "wide_resnet:WideResNet",
        "WideResNet",
        recipe=replace(_WHITENED, epochs=12, peak_rate=0.15, sides=((0.5, 16), (0.75, 24))),
        on_gpu=replace(_WHITENED, epochs=26, peak_rate=0.15, cutout_side=10, sides=((0.25, 16), (0.5, 24))),
    ),
}
_PURIFIERS: dict[str, Network] = {
    "median": Network("purifiers.median:Median", "median", task=None),
    "autoencoder": Network(
        "purifiers.autoencoder:Autoencoder",
        "autoencoder",
        task="reconstruction",
        recipe=Recipe(
            epochs=12, optimizer="adamw", peak_rate=3e-3, weight_decay=1e-4, corrupted_pixels=2, corrupted_weight=20.0
        ),
    ),
    "gated": Network(
        "purifiers.gated:Gated",
        "gated",
        task="blind prediction",
        recipe=Recipe(epochs=60, optimizer="adamw", peak_rate=1e-2, weight_decay=1e-4, corrupted_pixels=8),
    ),
}
NETWORKS = _CLASSIFIERS | _PURIFIERS
CLASSIFIERS = tuple(_CLASSIFIERS)
PURIFIERS = tuple(_PURIFIERS)
TRAINABLE = tuple(name for name, network in NETWORKS.items() if network.task is not None)


def recipe_for(name: str, epochs: int | None = None, device: str = "cpu") -> Recipe:
    """The recipe of `name`, one of `TRAINABLE`, on `device` ("cpu" or "cuda"), or with `epochs` of just so many."""
    network = NETWORKS[name]
    recipe = network.on_gpu if device == "cuda" and network.on_gpu is not None else network.recipe
    assert recipe is not None
    return recipe if epochs is None else replace(recipe, epochs=epochs)


def build_classifier(name: str, *, weights: Path | None = None, trained: bool = True) -> "nn.Module":
    """The classifier `name` in evaluation mode: float32 `(n, 3, 32, 32)` in 0..1 to logits `(n, 10)`.

    Args:
        name: one of `CLASSIFIERS`.
        weights: a safetensors file; the shipped one where None.
        trained: False leaves the first, random weights.

    Raises:
        UsageError: no such classifier.
        WeightsError: weights that are missing, damaged or made for another network.
    """
    if name not in CLASSIFIERS:
        raise unknown_name("classifier", name, CLASSIFIERS, "choose one of them, or give module:function or FILE.onnx")
    return _build(name, NETWORKS[name].where, weights, trained)


def build_purifier(name: str, *, weights: Path | None = None, trained: bool = True) -> "nn.Module":
    """The purifier `name` in evaluation mode: float32 `(n, 3, H, W)` on the 0..255 scale to the same.

    Arguments and errors as for `build_classifier`.
    """
    if name not in PURIFIERS:
        raise unknown_name("purifier", name, (*PURIFIERS, "none"), "--purifier NAME, or module:function")
    return _build(name, NETWORKS[name].where, weights, trained)


def check_trainable(name: str) -> None:
    """Raise `UsageError` unless `name` is one of `TRAINABLE`."""
    if name not in TRAINABLE:
        raise unknown_name("trainable network", name, TRAINABLE, "pixelproof train NAME")


def weights_path(name: str) -> Path | None:
    """The shipped weights of `name`; None for a network that has none to learn."""
    return None if NETWORKS[name].task is None else Path(__file__).parent / "weights" / f"{name}.safetensors"


def is_shipped(part: dict[str, Any]) -> bool:
    """Whether a bundle's classifier or purifier, as its manifest describes it, is one that comes with this version.

    A classifier that was made of a function or a file has a `source` that says so. Weights that were trained anew, or
    that the shipped network does not have, are recognized by their hash.
    """
    if part.get("source", "shipped") != "shipped" or part["name"] not in (*CLASSIFIERS, *PURIFIERS):
        return False
    path = weights_path(part["name"])
    if path is None:
        return part.get("weights_sha256") is None
    return path.is_file() and sha256_file(path) == part.get("weights_sha256")


def provenance(name: str) -> dict[str, Any]:
    """What is known of the shipped weights of `name`: command, data, figures; empty where it has none."""
    path = weights_path(name)
    return {} if path is None else cast(dict[str, Any], json.loads(path.with_suffix(".json").read_text()))


def _build(name: str, where: str, weights: Path | None, trained: bool) -> "nn.Module":
    module_name, class_name = where.split(":")
    try:
        family = importlib.import_module(f"pixelproof.models.{module_name}")
        from pixelproof.models.weights import load_weights
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", f"building '{name}'") from error
    vector_math.settle()
    network = cast("nn.Module", getattr(family, class_name)())
    path = weights or weights_path(name)
    if trained and path is not None:
        load_weights(network, path)
    return network.eval()

"""The shipped networks by name. Nothing here imports PyTorch until a network is built."""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pixelproof import vector_math
from pixelproof.errors import missing_extra, unknown_name
from pixelproof.files import sha256_file

if TYPE_CHECKING:
    from torch import nn

_CLASSIFIERS = {
    "lenet": "lenet:LeNet",
    "pure_cnn": "pure_cnn:PureCNN",
    "nin": "nin:NiN",
    "resnet": "resnet:ResNet",
    "densenet": "densenet:DenseNet",
    "wide_resnet": "wide_resnet:WideResNet",
}
_PURIFIERS = {
    "median": "purifiers.median:Median",
    "autoencoder": "purifiers.autoencoder:Autoencoder",
    "gated": "purifiers.gated:Gated",
}
_WITHOUT_WEIGHTS = {"median"}  # nothing to learn

CLASSIFIERS = tuple(_CLASSIFIERS)
PURIFIERS = tuple(_PURIFIERS)
TRAINABLE = tuple(name for name in (*CLASSIFIERS, *PURIFIERS) if name not in _WITHOUT_WEIGHTS)


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
    if name not in _CLASSIFIERS:
        raise unknown_name("classifier", name, CLASSIFIERS, "choose one of them, or give module:function or FILE.onnx")
    return _build(name, _CLASSIFIERS[name], weights, trained)


def build_purifier(name: str, *, weights: Path | None = None, trained: bool = True) -> "nn.Module":
    """The purifier `name` in evaluation mode: float32 `(n, 3, H, W)` on the 0..255 scale to the same.

    Arguments and errors as for `build_classifier`.
    """
    if name not in _PURIFIERS:
        raise unknown_name("purifier", name, (*PURIFIERS, "none"), "--purifier NAME, or module:function")
    return _build(name, _PURIFIERS[name], weights, trained)


def check_trainable(name: str) -> None:
    """Raise `UsageError` unless `name` is one of `TRAINABLE`."""
    if name not in TRAINABLE:
        raise unknown_name("trainable network", name, TRAINABLE, "pixelproof train NAME")


def weights_path(name: str) -> Path | None:
    """The shipped weights of `name`; None for a network that has none to learn."""
    return None if name in _WITHOUT_WEIGHTS else Path(__file__).parent / "weights" / f"{name}.safetensors"


def is_shipped(part: dict[str, Any]) -> bool:
    """Whether a bundle's classifier or purifier, as its manifest describes it, is one that comes with this version.

    A classifier that was made of a function or a file has a `source` that says so; what was trained anew, or has
    weights where the shipped one has none, is told by their hash.
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

"""What a classifier is to the export, and the choice of its kind by what was asked for; one file a kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError, unknown_name
from pixelproof.export.others_code import build_own
from pixelproof.files import sha256_file
from pixelproof.models import CIFAR10_CLASSES, CLASSIFIERS, build_classifier, weights_path

if TYPE_CHECKING:
    import onnx
    from torch import nn


class Classifier(Protocol):
    """A classifier of float32 `(n, 3, H, W)` pixels, normalized where it expects them to be."""

    name: str
    """What was asked for: a shipped name, `module:function`, a class, an ONNX file's name."""
    source: str
    """"shipped", "module" or "onnx"."""
    weights_sha256: str | None
    size: tuple[int, int] | None
    """The only (H, W) that it takes; None where that is not known."""
    class_names: tuple[str, ...] | None
    """Those of a shipped network, which normalizes inside; None for one's own."""

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the original gives for `pixels`, `(n, classes)`; `UsageError` where it does not run on them."""

    def run_in_double(self, pixels: NDArray[np.float32]) -> "NDArray[np.float64] | None":
        """The same with all arithmetic in float64; None where that cannot be."""

    def to_onnx(self, size: tuple[int, int], *, half: bool = False) -> "onnx.ModelProto":
        """One input, float32 `(batch, 3, H, W)`, and one output, float32 `(batch, classes)`; `ExportError`.

        `half`: what lies between is float16; `UsageError` where it cannot be.
        """


def open_classifier(asked: "str | Path | nn.Module", weights: Path | None) -> Classifier:
    """The classifier behind a shipped name, `module:function`, the path of an ONNX file, or an `nn.Module`.

    `weights`: a safetensors file for the first two. Raises `UsageError` for what is none of them, `WeightsError` for
    unfit weights, `ExportError` where the user's own code fails.
    """
    if not isinstance(asked, str | Path):
        return _own_module(asked, None, weights)
    text = str(asked)
    if text in CLASSIFIERS:
        return _shipped(text, weights)
    if text.lower().endswith(".onnx"):
        return _onnx_file(Path(text), weights)
    if ":" in text:
        return _own_module(build_own(text), text, weights)
    remedy = "choose one of them, or give module:function or FILE.onnx"
    if text.endswith(".py"):
        remedy = "name the function in it that builds the network, MODULE:FUNCTION, in that file's folder"
    raise unknown_name("classifier", text, CLASSIFIERS, remedy)


def _shipped(name: str, weights: Path | None) -> Classifier:
    from pixelproof.export.classifiers.torch_module import TorchClassifier

    module = build_classifier(name, weights=weights)
    path = weights or weights_path(name)
    source = "module" if weights else "shipped"  # with other weights, provenance must not promise the shipped ones
    return TorchClassifier(
        name, source, sha256_file(path) if path else None, module, size=(32, 32), class_names=CIFAR10_CLASSES
    )


def _own_module(module: "nn.Module", name: str | None, weights: Path | None) -> Classifier:
    from pixelproof.export.classifiers.torch_module import TorchClassifier, state_sha256, unwrapped
    from pixelproof.models.weights import load_weights

    module = unwrapped(module)
    name = name or type(module).__name__
    if weights is not None:
        load_weights(module, weights)
    digest = state_sha256(module) if weights is None else sha256_file(weights)
    return TorchClassifier(name, "module", digest, module)


def _onnx_file(path: Path, weights: Path | None) -> Classifier:
    from pixelproof.export.classifiers.onnx_file import OnnxClassifier

    if weights is not None:
        raise UsageError(
            f"'{path}' holds its own weights, and --weights {weights} was given. Next: leave out --weights"
        )
    return OnnxClassifier(path)

"""What a bundle takes and gives: the image size, the classes, and how pixels become the classifier's input."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from pixelproof.errors import UsageError, unknown_name
from pixelproof.runtime.backends.base import BARE_OUTPUTS, FUSED_OUTPUTS, tensors

Size = tuple[int, int]
Channels = tuple[float, float, float]

OUTPUTS = ("logits", "probabilities")


@dataclass(frozen=True)
class Interface:
    """The checked description of a bundle's inputs and outputs."""

    size: Size
    """Height and width of the images, in pixels."""
    class_names: tuple[str, ...]
    normalization: tuple[Channels, Channels] | None
    """Mean and standard deviation of the 0..1 image, a value a channel; None where nothing is subtracted."""
    outputs: str
    """What the classifier gives: "logits" or "probabilities"."""

    def inputs_spec(self) -> list[dict[str, Any]]:
        """The graphs' input, as the manifest lists it."""
        return self._specs("images")

    def outputs_spec(self, *, purifies: bool) -> list[dict[str, Any]]:
        """The outputs of `pipeline.onnx` or, where nothing purifies, of `classifier.onnx`."""
        return self._specs(*(FUSED_OUTPUTS if purifies else BARE_OUTPUTS))

    def _specs(self, *names: str) -> list[dict[str, Any]]:
        known = tensors(self.size, len(self.class_names))
        return [{"name": name, "dtype": known[name].dtype, "shape": list(known[name].shape)} for name in names]


def check_outputs(outputs: str) -> str:
    """`outputs`, or `UsageError` where it is not one of `OUTPUTS`."""
    if outputs not in OUTPUTS:
        raise unknown_name("kind of outputs", outputs, OUTPUTS, "--outputs logits, or --outputs probabilities")
    return outputs


def check_size(size: Sequence[int] | None) -> Size:
    """(H, W), both above 0; or `UsageError`."""
    if size is None:
        raise UsageError(
            "the size of the classifier's images is not known. Next: give --size H,W (in Python: size=(H, W))"
        )
    sides = _values(size)
    if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        raise UsageError(
            f"expected a height and a width in pixels, both above 0, got {_listed(sides)}. Next: --size 32,32"
        )
    height, width = map(int, sides)
    return height, width


def check_class_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """The class names, printable and all different; or `UsageError`."""
    if names is None:
        raise UsageError(
            "the names of the classifier's classes are not known. "
            "Next: give --classes FILE, a name a line (in Python: class_names=[...])"
        )
    if isinstance(names, str) or not (listed := _values(names)):
        raise UsageError(f"expected a list of class names, got {names!r}. Next: --classes FILE, a name a line")
    names = listed
    if len(names) == 1:
        raise UsageError(
            f"a classifier distinguishes two classes or more, got '{names[0]}' alone. Next: name the others"
        )
    for number, name in enumerate(names, 1):
        if not isinstance(name, str):
            raise UsageError(f"class name {number} of {len(names)} is {name!r}, no text. Next: give it a name")
        if not name.strip() or not name.isprintable():
            raise UsageError(f"class name {number} of {len(names)} is {name!r}. Next: give it a name that can be shown")
        if (first := names.index(name) + 1) < number:
            raise UsageError(f"classes {first} and {number} are both named '{name}'. Next: give each its own name")
    return tuple(map(str, names))  # of NumPy's kind they may have been


def check_normalization(mean: Sequence[float] | None, std: Sequence[float] | None) -> tuple[Channels, Channels] | None:
    """Mean and standard deviation of the 0..1 image, or None for neither; or `UsageError`."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        missing = "mean" if mean is None else "std"
        raise UsageError(f"a normalization has a mean and a std, and the {missing} is missing. Next: give --{missing}")
    means, stds = _channels("mean", mean), _channels("std", std)
    if not all(0 <= value <= 1 for value in means):
        raise UsageError(
            f"--mean is of the image on the 0..1 scale, got {_listed(mean)}. Next: divide mean and std by 255"
        )
    if not all(0 < value <= 1 for value in stds):
        raise UsageError(
            f"--std is of the image on the 0..1 scale and above 0, got {_listed(std)}. Next: divide by 255"
        )
    return means, stds


def _channels(option: str, values: Sequence[float]) -> Channels:
    numbers = _values(values)
    if len(numbers) != 3 or not all(isinstance(number, Real) and math.isfinite(number) for number in numbers):
        raise UsageError(f"expected three numbers, R,G,B, got {_listed(numbers)}. Next: --{option} 0.5,0.5,0.5")
    red, green, blue = map(float, numbers)
    return red, green, blue


def _values(given: Any) -> list[Any]:  # noqa: ANN401  (what Python's callers give)
    """What a sequence holds; of anything else a list of that alone."""
    return [*given] if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _listed(values: Sequence[float]) -> str:
    return ",".join(map(str, values)) or "none"

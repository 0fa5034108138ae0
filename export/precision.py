"""The precisions that a classifier can be exported in, and the graph that each makes of it.

The purifier stays in float32 in all of them: its decisions are comparisons, and what it gives is levels.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from pixelproof.errors import UsageError, unknown_name
from pixelproof.export.classifiers import Classifier
from pixelproof.export.interface import Interface
from pixelproof.export.reference import to_levels, to_pixels

PRECISIONS = ("fp32", "fp16", "int8")
TARGETS = ("cpu", "tensorrt")


@dataclass(frozen=True)
class Precision:
    """What a bundle computes in, and for which runtime.

    Attributes:
        name: one of `PRECISIONS`.
        target: one of `TARGETS`. An int8 graph for one is slow or refused in the other; the others serve both.
        max_accuracy_drop: points of accuracy below float32's that are put up with; above that the export fails.
    """

    name: str = "fp32"
    target: str = "cpu"
    max_accuracy_drop: float = 0.5

    @property
    def is_full(self) -> bool:
        """Nothing is given up: the classifier computes in float32."""
        return self.name == "fp32"


def check_precision(name: str, target: str, max_accuracy_drop: float) -> Precision:
    """What was asked for; `UsageError` where there is no such precision or target, or the drop is not 0 or more."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS, "choose one with --precision NAME")
    if target not in TARGETS:
        raise unknown_name("target", target, TARGETS, "choose one with --target NAME")
    if not (math.isfinite(max_accuracy_drop) and max_accuracy_drop >= 0):
        raise UsageError(
            f"the accuracy that may be lost is a number of points, 0 or more, got {max_accuracy_drop:g}. "
            "Next: --max-accuracy-drop 0.5"
        )
    return Precision(name, target, max_accuracy_drop)


def lowered(
    classifier: Classifier,
    full: onnx.ModelProto,
    interface: Interface,
    precision: Precision,
    calibration: NDArray[np.uint8],
) -> onnx.ModelProto:
    """The classifier's graph in a lower precision, its input and output still float32.

    Args:
        classifier: the original.
        full: its graph in float32.
        interface: its images' size and normalization.
        precision: fp16 or int8.
        calibration: uint8 images `(n, H, W, 3)` whose activations tell int8 its scales.

    Raises:
        UsageError: fp16 of a classifier that is an ONNX file.
        ExportError: the graph cannot be had in this precision.
    """
    if precision.name == "fp16":
        return classifier.to_onnx(interface.size, half=True)
    from pixelproof.export.quantization import quantized

    return quantized(
        full,
        to_pixels(to_levels(calibration), interface),
        target=precision.target,
        what=f"classifier '{classifier.name}'",
    )

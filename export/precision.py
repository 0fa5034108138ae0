"""The precisions that a classifier can be exported in, and the graph that each makes of it.

The purifier stays in float32 in all of them: its decisions are comparisons, and it returns pixel values, 0 to 255.

Int8 is static: the scales of activations come from calibration images, those of weights from the weights. Each target
takes another graph.

ONNX Runtime's CPU kernels join 8-bit layers where activations are unsigned, weights signed, and biases quantized too.
What lies between convolutions has to be 8-bit as well. The last layer, which costs nothing and whose outputs are
compared with one another, stays in float: of LeNet's decisions 0.5 points more are kept.

TensorRT takes symmetric signed values before convolutions alone, and biases in float. A convolution's output is rounded
only where the next one reads it: of LeNet's decisions 0.7 points more are kept. Activations that are never negative
have 7 bits there, so their ranges are narrower: means, over runs of images, of each run's extremes. The first
convolution, of three channels and little arithmetic, stays in float. The two make the logits' error a fifth to a third
smaller (the six shipped classifiers, judged on 1,000 training images that gave no scales, WideResNet on 400).
"""

import importlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pixelproof.errors import ExportError, UsageError, unknown_name
from pixelproof.export.classifiers import Classifier
from pixelproof.export.interface import Interface
from pixelproof.export.others_code import cause, interrupts_kept, quiet
from pixelproof.export.reference import to_levels, to_pixels

_IMAGES_A_RUN = 50
"""About so many calibration images are run at a time; TensorRT's scales are means over these runs."""
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
        calibration: uint8 images `(n, H, W, 3)` that int8's scales are taken from.

    Raises:
        UsageError: fp16 of a classifier that is an ONNX file.
        ExportError: the graph cannot be had in this precision.
    """
    if precision.name == "fp16":
        return classifier.to_onnx(interface.size, half=True)
    pixels = to_pixels(to_levels(calibration), interface)
    return quantized(full, pixels, target=precision.target, what=f"classifier '{classifier.name}'")


def quantized(model: onnx.ModelProto, pixels: NDArray[np.float32], *, target: str, what: str) -> onnx.ModelProto:
    """`model` with QuantizeLinear and DequantizeLinear around what is to be computed in int8.

    Args:
        model: one float32 `(batch, 3, H, W)` to one float32 `(batch, classes)`.
        pixels: float32 `(n, 3, H, W)`, what the model is shown to learn the activations' ranges.
        target: "cpu" or "tensorrt".
        what: names the model in errors.

    Raises:
        UsageError: the model is quantized already.
        ExportError: ONNX Runtime cannot quantize it.
    """
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        raise UsageError(f"{what} has 8-bit layers already. Next: leave out --precision")
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    kinds = quantization.QuantType
    settings: dict[str, dict[str, Any]] = {
        "cpu": {"activation_type": kinds.QUInt8, "nodes_to_exclude": _last_layer(model), "extra_options": {}},
        "tensorrt": {
            "activation_type": kinds.QInt8,
            "op_types_to_quantize": ["Conv"],
            "nodes_to_exclude": _first_convolution(model),
            "extra_options": {
                "CalibMovingAverage": True,
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": ["Conv"],
            },
        },
    }
    given = onnx.ModelProto()
    given.CopyFrom(model)  # type: ignore[no-untyped-call]  # the quantizer changes what it is given
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as folder, quiet(), interrupts_kept():
        path = Path(folder) / "quantized.onnx"
        try:
            quantization.quantize_static(
                given,
                path,
                _Reader(model.graph.input[0].name, pixels),
                quant_format=quantization.QuantFormat.QDQ,
                weight_type=kinds.QInt8,
                per_channel=True,
                calibrate_method=quantization.CalibrationMethod.MinMax,
                **settings[target],
            )
            return onnx.load(path)
        except Exception as error:  # the quantizer raises whatever it stumbles over
            raise ExportError(
                f"ONNX Runtime cannot quantize {what} to int8: {cause(error)}. Next: --precision fp16, or fp32"
            ) from error


def _last_layer(model: onnx.ModelProto) -> list[str]:
    """The name of the last node that multiplies with weights; none where it has no name to leave it out by."""
    last = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")][-1:]
    return [name for name in last if name]


def _first_convolution(model: onnx.ModelProto) -> list[str]:
    """The name of the convolution that sees the image, where others follow it and it has a name to leave it out by."""
    first, *others = [node.name for node in model.graph.node if node.op_type == "Conv"] or [""]
    return [first] if first and others else []


class _Reader:
    """Shows the calibration images; what ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, name: str, pixels: NDArray[np.float32]) -> None:
        runs = max(1, round(len(pixels) / _IMAGES_A_RUN))  # of like sizes, since each weighs the same in a mean
        self._runs = iter([{name: run} for run in np.array_split(pixels, runs)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._runs, None)

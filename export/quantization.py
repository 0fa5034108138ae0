"""Static int8 quantization: the scales of activations come from calibration images, those of weights from the weights.

Each target wants another graph. ONNX Runtime's CPU kernels join 8-bit layers where activations are unsigned, weights
signed and biases quantized too, and where what lies between convolutions is 8-bit as well; the last layer, which costs
nothing and whose outputs are compared with one another, stays in float (of LeNet's decisions 0.5 points more are kept).
TensorRT wants symmetric signed values before convolutions alone, and biases left in float; what a convolution gives is
rounded only where the next one takes it (of LeNet's decisions 0.7 points more are kept). Activations that are never
negative have 7 bits there, so their ranges are made narrower: the mean over runs of images of each run's extremes. The
first convolution, of three channels and little arithmetic, stays in float. The two make the logits' error a fifth to a
third smaller (the six shipped classifiers, judged on 1,000 training images that gave no scales, WideResNet on 400).
"""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pixelproof.errors import ExportError, UsageError
from pixelproof.export.messages import cause, interrupts_kept, quiet

_IMAGES_A_RUN = 50
"""About so many calibration images are run at a time; TensorRT's scales are means over these runs."""


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

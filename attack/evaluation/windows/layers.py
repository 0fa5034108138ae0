"""What an ONNX node does to places: which of its inputs' places an output sees, and how much arithmetic it costs."""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from pixelproof.attack.predictors.windows.receptive_field import ReceptiveField

# fmt: off
PLACE_BY_PLACE = frozenset([
    "Abs", "Add", "Clip", "Div", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh",
])
# fmt: on
MOVE = 60  # multiply-adds in the time that one value of a map takes to be read, and written elsewhere
_POOLS = frozenset({"MaxPool", "AveragePool"})

Shape = tuple[int, int, int]
"""Channels, height and width of a map."""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes as Python values."""
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def field_of(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> ReceptiveField | None:
    """What an output place of `node` sees along either axis; None where that is not the same everywhere."""
    asked = attributes(node)
    if node.op_type == "BatchNormalization":  # its constants are a value a channel
        return ReceptiveField(0, 0)
    if node.op_type in PLACE_BY_PLACE:
        alike = all(_same_everywhere(constants[name]) for name in node.input if name in constants)
        return ReceptiveField(0, 0) if alike else None
    if node.op_type == "Concat":
        return ReceptiveField(0, 0) if asked["axis"] in (1, -3) else None
    if node.op_type == "Conv":
        weight = constants.get(node.input[1])
        return None if weight is None else _window_field(asked, list(weight.dims[2:]))
    if node.op_type in _POOLS and len(node.output) == 1 and not asked.get("ceil_mode", 0):
        return _window_field(asked, asked["kernel_shape"])
    return None


def arithmetic(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], shapes: dict[str, Shape]) -> int:
    """Multiply-adds an output place; what only moves values, and is not joined with a convolution, by its time."""
    if node.op_type == "Conv":
        return int(np.prod(constants[node.input[1]].dims))
    return MOVE * shapes[node.output[0]][0] if node.op_type in ("BatchNormalization", "Concat") else 0


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initializers and the values of Constant nodes, by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.from_array(
                numpy_helper.to_array(attributes(node)["value"]), node.output[0]
            )
    return found


def _window_field(asked: dict[str, Any], kernel: list[int]) -> ReceptiveField | None:
    """Of a square kernel, alike along both axes."""
    if asked.get("auto_pad", b"NOTSET") != b"NOTSET" or len(kernel) != 2:
        return None
    strides, dilations = asked.get("strides", [1, 1]), asked.get("dilations", [1, 1])
    pads = asked.get("pads", [0, 0, 0, 0])
    extents = set(zip(kernel, strides, dilations, pads[:2], strict=True))
    if len(extents) != 1:
        return None
    size, stride, dilation, before = extents.pop()
    return ReceptiveField(before, (size - 1) * dilation - before, stride)


def _same_everywhere(constant: onnx.TensorProto) -> bool:
    """Whether a constant that is spread over a map has one value a channel, or one for all."""
    return all(side == 1 for side in list(constant.dims)[-2:])

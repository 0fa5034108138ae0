"""The scales of int8, and what is left in float, on a network small enough to foresee them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pixelproof.export.precision import quantized


def network(*names: str, weights: tuple[float, float, float] = (1, 1, 1)) -> onnx.ModelProto:
    """A convolution a name, each channel times its weight, and the mean of each channel."""
    kernel = np.diag(weights).astype(np.float32).reshape(3, 3, 1, 1)
    nodes, last = [], "x"
    for number, name in enumerate(names):
        nodes.append(helper.make_node("Conv", [last, f"kernel{number}"], [f"map{number}"], name=name))
        last = f"map{number}"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["y"], name="flatten"))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(kernel, f"kernel{number}") for number in range(len(names))],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def brightest(*runs: tuple[int, float]) -> np.ndarray:
    """Images in turn, so many of each brightest value."""
    return np.concatenate([np.full((count, 3, 4, 4), value, np.float32) for count, value in runs])


def scales(model: onnx.ModelProto) -> list[float]:
    """Of the activations, in the order of the graph."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    taken = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] not in held]
    return [float(held[node.input[1]]) for node in taken]


def test_for_tensorrt_a_range_is_the_mean_of_the_runs():
    model = quantized(network("a", "b"), brightest((50, 1.0), (50, 0.5)), target="tensorrt", what="it")
    assert scales(model) == [pytest.approx(0.75 / 127)]


def test_on_the_cpu_a_range_holds_all_that_was_seen():
    model = quantized(network("a", "b", "c"), brightest((50, 1.0), (50, 0.5)), target="cpu", what="it")
    assert scales(model)
    assert all(scale == pytest.approx(1 / 255) for scale in scales(model))


def test_on_the_cpu_the_last_layer_with_weights_stays_in_float():
    model = quantized(network("a", "b", "c"), brightest((8, 1.0)), target="cpu", what="it")
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    weights = {node.name: made_by.get(node.input[1]) for node in model.graph.node if node.op_type == "Conv"}
    assert weights == {"a": "DequantizeLinear", "b": "DequantizeLinear", "c": None}


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
def test_each_channel_of_the_weights_has_its_scale(target: str):
    model = quantized(network("a", "b", "c", weights=(1, 2, 4)), brightest((8, 1.0)), target=target, what="it")
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    read = {node.output[0]: held[node.input[1]] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    lowered = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in read]
    assert len(lowered) == 2
    for node in lowered:
        np.testing.assert_allclose(read[node.input[1]], np.array([1, 2, 4]) / 127, rtol=0.01)


def test_no_run_is_so_short_that_its_few_images_weigh_more():
    model = quantized(network("a", "b"), brightest((50, 1.0), (1, 0.0)), target="tensorrt", what="it")
    assert scales(model) == [pytest.approx(1 / 127)]


@pytest.mark.parametrize(("names", "in_int8"), [(("a", "b", "c"), ["b", "c"]), (("a",), ["a"]), (("", "b"), ["", "b"])])
def test_for_tensorrt_the_first_convolution_stays_in_float(names: tuple[str, ...], in_int8: list[str]):
    """Where it is not the only one, and has a name to leave it out by."""
    model = quantized(network(*names), brightest((8, 1.0)), target="tensorrt", what="it")
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    lowered = [node.name for node in convolutions if made_by.get(node.input[0]) == "DequantizeLinear"]
    assert lowered == in_int8

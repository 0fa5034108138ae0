"""The protobuf walk against the onnx package's own idea of the format."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from pixelproof.runtime.onnx_bytes import _CHILDREN, graph_sha256, has_external_data, keep_outputs

MESSAGES = {
    "ModelProto": "model",
    "GraphProto": "graph",
    "NodeProto": "node",
    "AttributeProto": "attribute",
    "TensorProto": "tensor",
    "SparseTensorProto": "sparse",
    "TrainingInfoProto": "training",
    "FunctionProto": "function",
}


def test_every_way_to_a_tensor_is_walked():
    """onnx's own descriptors: each field whose message can hold a tensor is in the table, and nothing else is."""
    for proto, name in MESSAGES.items():
        fields = getattr(onnx, proto).DESCRIPTOR.fields
        children = {
            f.number: MESSAGES[f.message_type.name]
            for f in fields
            if f.message_type and f.message_type.name in MESSAGES
        }
        assert children == _CHILDREN.get(name, {})


def external_tensor() -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external_tensor())


def with_location_alone(model: onnx.ModelProto) -> None:
    tensor = external_tensor()
    tensor.ClearField("external_data")
    model.graph.initializer.append(tensor)


def with_entries_alone(model: onnx.ModelProto) -> None:
    tensor = external_tensor()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


def in_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external_tensor()))


def in_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [external_tensor()])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=external_tensor())
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 18)]))


def in_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external_tensor())


def in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(external_tensor())


HIDING_PLACES = [
    in_initializer, with_location_alone, with_entries_alone, in_constant, in_branch, in_function,
    in_sparse_initializer, in_training,
]  # fmt: skip


def two_outputs() -> onnx.ModelProto:
    """`cheap` = x + inner, where `inner` is read inside a branch alone; `dear` = cheap x factor."""
    return onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["": 18]>
        both (float[n] x, bool choice) => (float[n] cheap, float[n] dear) <float inner = {3}, float factor = {7}>
        {
            cheap = If (choice) <
                then_branch = one () => (float[n] a) { a = Add(x, inner) },
                else_branch = two () => (float[n] b) { b = Sub(x, inner) }
            >
            dear = Mul(cheap, factor)
        }
    """)


def test_a_tag_of_too_many_bits_is_no_way_around():
    """ONNX Runtime drops the bits above 32 of a tag, and would read the field that is left, its external data."""

    def varint(value: int) -> bytes:
        parts = []
        while value > 0x7F:
            parts.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*parts, value])

    def field(number: int, body: bytes, above: int = 0) -> bytes:
        return varint(number << 3 | 2 | above) + varint(len(body)) + body

    whole = two_outputs().SerializeToString()
    above = 1 << 35  # in the field's number, bit 32
    entry = external_tensor().external_data[0].SerializeToString()
    tensor = field(8, b"outside") + field(13, entry, above)
    forged = whole + field(7, field(5, tensor))
    assert onnx.load_model_from_string(whole + field(7, field(5, field(8, b"outside") + field(13, entry))))
    with pytest.raises(ValueError, match="broken field"):
        has_external_data(forged)


def test_a_plain_model_has_no_external_data():
    assert not has_external_data(two_outputs().SerializeToString())


@pytest.mark.parametrize("hide", HIDING_PLACES)
def test_external_data_is_found_wherever_it_hides(hide):
    model = two_outputs()
    hide(model)
    assert has_external_data(model.SerializeToString())


def test_bytes_cut_short_are_no_model():
    model = two_outputs().SerializeToString()
    parsed = 0
    for length in range(1, len(model)):
        try:
            has_external_data(model[:length])
        except ValueError:
            continue
        onnx.load_model_from_string(model[:length])  # a cut between two fields: protobuf takes it too
        parsed += 1
    assert parsed < 10


def test_keeping_an_output_drops_what_only_the_others_need():
    model = two_outputs()
    kept = keep_outputs(model.SerializeToString(), {"cheap"})
    graph = onnx.load_model_from_string(kept).graph
    assert [node.op_type for node in graph.node] == ["If"]
    assert [tensor.name for tensor in graph.initializer] == ["inner"]
    assert [value.name for value in graph.output] == ["cheap"]
    feed = {"x": np.arange(4, dtype=np.float32), "choice": np.array(False)}
    results = [run(content, feed) for content in (model.SerializeToString(), kept)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], feed["x"] - 3)


def run(model: bytes, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["cheap"], feed)[0]


def test_keeping_all_outputs_changes_nothing():
    model = two_outputs()
    kept = keep_outputs(model.SerializeToString(), {"cheap", "dear"})
    assert onnx.load_model_from_string(kept) == model


def test_a_graphs_hash_is_of_what_it_computes_and_not_of_what_it_says_of_itself(lenet_median_bundle: Path):
    model = onnx.load(lenet_median_bundle / "pipeline.onnx")
    as_it_is = graph_sha256(model.SerializeToString())
    held = {entry.key: entry for entry in model.metadata_props}
    held["versions"].value, model.producer_version, model.doc_string = '{"python": "9.9"}', "99", "a note"
    assert graph_sha256(model.SerializeToString()) == as_it_is
    weights = model.graph.initializer[-1]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) + 1, weights.name))
    assert graph_sha256(model.SerializeToString()) != as_it_is
    with pytest.raises(ValueError, match="broken"):
        graph_sha256(model.SerializeToString()[:-1])

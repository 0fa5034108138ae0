"""ONNX files as other programs write them."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.export.reference import real_images
from pixelproof.runtime import Pipeline

TEXT = """
<ir_version: 10, opset_import: ["": 20]>
mine (float[N,3,8,8] x) => (float[N,3] y)
<int64[2] sides = {2, 3}, float[3,3] factors = {4, 0, -4, 0, 2, 0, -1, 0, 1}>
{
    means = ReduceMean<keepdims=0>(x, sides)
    y = MatMul(means, factors)
}
"""


BRANCH = """
<ir_version: 10, opset_import: ["": 20]>
mine (float[N,3,8,8] x) => (float[N,3] y)
<int64[2] sides = {2, 3}, float[3,3] factors = {4, 0, -4, 0, 2, 0, -1, 0, 1}, bool yes = {1}>
{
    means = ReduceMean<keepdims=0>(x, sides)
    y = If (yes) <
        then_branch = one () => (float[N,3] a) { a = MatMul(means, factors) },
        else_branch = other () => (float[N,3] b) { b = Identity(means) }
    >
}
"""


@pytest.mark.parametrize("text", [TEXT, BRANCH], ids=["plain", "read by a branch alone"])
def test_nodes_in_any_order_are_taken(tmp_path: Path, text: str):
    """ONNX Runtime orders them by itself, and some of its tools write them so; ONNX's checker refuses that."""
    model = onnx.parser.parse_model(text)
    bundles = []
    for name in ("in order", "backwards"):
        onnx.save(model, tmp_path / f"{name}.onnx")
        export_bundle(tmp_path / f"{name}.onnx", tmp_path / name, purifier="median", class_names=("a", "b", "c"))
        bundles.append(tmp_path / name)
        nodes = list(model.graph.node)[::-1]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(onnx.load(tmp_path / "backwards.onnx"))
    images = real_images((8, 8))
    expected, found = [Pipeline(bundle).predict(images) for bundle in bundles]
    np.testing.assert_array_equal(found, expected)


def test_a_graph_that_reads_itself_is_refused(tmp_path: Path):
    model = onnx.parser.parse_model(TEXT)
    model.graph.node[0].input[0] = "y"
    onnx.save(model, tmp_path / "circle.onnx")
    with pytest.raises(UsageError, match=r"circle\.onnx.*Next: "):
        export_bundle(tmp_path / "circle.onnx", tmp_path / "bundle", purifier="none", class_names=("a", "b", "c"))
    assert not (tmp_path / "bundle").exists()

"""The ONNX graphs of shipped networks: their bytes, what identifies them, and what int8 makes of one."""

import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper
from pins.inside import asked_to, graph_sha256, pinned

PURIFIERS = ("none", "median", "autoencoder", "gated")
SHIPPED = [(classifier, purifier) for classifier in ("lenet", "resnet") for purifier in PURIFIERS]
SLOW = [(classifier, "gated") for classifier in ("pure_cnn", "nin", "densenet", "wide_resnet")]


def without_versions(path: Path) -> bytes:
    """The file's bytes, but for the versions of pixelproof, Python and packages that it notes."""
    model = onnx.load(path)
    model.producer_version = ""
    noted = {entry.key: entry for entry in model.metadata_props}
    for name in ("pixelproof", "versions"):
        model.metadata_props.remove(noted[name])
    return model.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("classifier", "purifier"), [*SHIPPED, *SLOW])
def test_the_graphs_are_these_bytes(classifier, purifier, bundle):
    if (classifier, purifier) in SLOW and asked_to() is None:
        pytest.skip("takes long; PIXELPROOF_PIN=all checks it too")
    folder = bundle(classifier, purifier)
    files = sorted(folder.glob("*.onnx"))
    assert [file.name for file in files] == ["classifier.onnx", "pipeline.onnx"][: 1 if purifier == "none" else 2]
    found = {
        file.stem: {
            "without versions": hashlib.sha256(without_versions(file)).hexdigest(),
            "graph": graph_sha256(file.read_bytes()),
        }
        for file in files
    }
    pinned("exports", f"{classifier}, {purifier}", found)


def test_int8_is_this_graph_and_nearly_these_scales(bundle):
    folder = bundle("lenet", "gated", precision="int8", max_accuracy_drop=1.5)
    structure, scales = {}, {}
    for file in sorted(folder.glob("*.onnx")):
        graph = onnx.load(file).graph
        held = [(each.name, each.data_type, list(each.dims)) for each in graph.initializer]
        nodes = [(node.op_type, node.name, list(node.input), list(node.output)) for node in graph.node]
        whole = hashlib.sha256(repr([sorted(held), nodes]).encode()).hexdigest()
        structure[file.stem] = [whole, len(held), len(nodes), sorted({node[0] for node in nodes})]
        scales |= {
            each.name: float(numpy_helper.to_array(each).reshape(-1)[0])
            for each in graph.initializer
            if each.name.endswith("_scale")
        }
    assert scales
    pinned("exports", "int8", structure)
    pinned("exports", "int8, scales", {name: float(f"{scale:.4g}") for name, scale in scales.items()}, within=0.01)

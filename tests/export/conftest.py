"""Networks of a user's own: as a Python module, as an `nn.Module` and as an ONNX file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

SHAPES = ("circle", "square", "triangle")
SIZE = (96, 64)

OWN_MODULE = '''
"""A network of 96x64 images and three classes."""

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(),
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(16 * 6 * 4, 3)

    def forward(self, x):
        return self.head(self.dropout(self.features(x)))


def build():
    torch.manual_seed(7)
    print("building")
    return Network()
'''


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `shapes_network.py`, whose `build` makes a network, and `shapes.txt` with its classes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "shapes_network.py").write_text(OWN_MODULE)
    (folder / "shapes.txt").write_text("\n".join(SHAPES) + "\n")
    return folder


@pytest.fixture
def make_onnx(tmp_path: Path) -> Callable[..., Path]:
    """Write an ONNX classifier: a convolution, a mean over positions, a linear layer; three classes."""

    def make(name: str = "own.onnx", *, size: tuple[int | str, int | str] = SIZE, opset: int = 20, **parts) -> Path:
        path = tmp_path / name
        onnx.save(own_onnx(size, opset, **parts), path)
        return path

    return make


def own_onnx(size=SIZE, opset=20, *, batch="N", ir_version=9, dtype=onnx.TensorProto.FLOAT, list_weights=False):
    generator = np.random.default_rng(3)
    weights = {
        "kernel": generator.normal(size=(6, 3, 5, 5)),
        "bias": generator.normal(size=6),
        "matrix": generator.normal(size=(6, 3)) * 4,
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    inputs = [helper.make_tensor_value_info("x", dtype, [batch, 3, *size])]
    if list_weights:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors]
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["features"], strides=[2, 2]),
        helper.make_node("Relu", ["features"], ["positive"], doc_string='File "/home/somebody/network.py", line 3'),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, 3])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, tensors, doc_string="/home/somebody/network.py")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    helper.set_model_props(model, {"source": "/home/somebody/network.py"})
    return model

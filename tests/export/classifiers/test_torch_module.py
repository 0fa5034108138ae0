"""A PyTorch module as a graph in float16."""

import pytest
import torch
from onnx import TensorProto
from torch import nn

from pixelproof.errors import ExportError
from pixelproof.export.classifiers.torch_module import TorchClassifier


class Shifted(nn.Module):
    """Takes a mean away: a constant that forward() makes, or a buffer."""

    def __init__(self, *, buffer: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))
        if buffer:
            self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        mean = self.mean if hasattr(self, "mean") else torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
        return self.body(pixels - mean)


def half(module: nn.Module):
    return TorchClassifier("own:build", "module", None, module).to_onnx((8, 8), half=True)


def test_a_constant_made_in_forward_is_told_with_what_to_do_about_it():
    with pytest.raises(ExportError) as raised:
        half(Shifted(buffer=False))
    message = str(raised.value)
    assert "cannot export classifier 'own:build' in float16" in message
    assert all(way in message.partition("Next: ")[2] for way in ("register_buffer", "--mean and --std", "int8"))
    assert "FILE.onnx" not in message  # a file is refused in float16


def test_a_buffer_follows_the_weights_into_float16():
    graph = half(Shifted(buffer=True)).graph
    assert {tensor.data_type for tensor in graph.initializer if len(tensor.dims) > 1} == {TensorProto.FLOAT16}

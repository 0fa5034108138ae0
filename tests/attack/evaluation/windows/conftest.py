"""Classifiers as ONNX files: the shipped ones, and one that has every kind of layer in an awkward size."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.export.classifiers.torch_module import frozen, trace
from pixelproof.export.graph import fuse, serialized
from pixelproof.export.interface import Interface
from pixelproof.models import build_classifier
from pixelproof.models.data import sample
from pixelproof.models.densenet import DenseNet
from pixelproof.models.wide_resnet import WideResNet
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Awkward(nn.Module):
    """Strides, dilation, pooling, valid convolutions, a shortcut, a concatenation; on 21 x 27 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=2, dilation=2)
        self.side = nn.Conv2d(8, 8, 1, stride=2)
        self.main = nn.Conv2d(8, 8, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(16)
        self.valid = nn.Conv2d(16, 8, 3)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = F.elu(self.stem(images))
        joined = torch.cat((F.relu(self.main(features)) + self.side(features), F.max_pool2d(features, 3, 2, 1)), 1)
        narrow = torch.sigmoid(self.valid(F.relu(self.norm(joined))))
        return self.last(F.avg_pool2d(narrow, 3, 1, 1, count_include_pad=False)).amax((2, 3)) * 10


@dataclass(frozen=True)
class Subject:
    """A classifier, and images that it takes."""

    model: bytes
    predict: Predict
    images: NDArray[np.uint8]


def subject(module: nn.Module, images: NDArray[np.uint8], classes: int) -> Subject:
    height, width = images.shape[1:3]
    interface = Interface((height, width), tuple(f"class {index}" for index in range(classes)), None, "logits")
    body: onnx.ModelProto = trace(frozen(module), (height, width), what="the network")
    model = serialized(fuse(interface, body, None, {}))
    session = OnnxRuntimeCpu(model, threads=1)
    return Subject(model, lambda given: session.run(np.ascontiguousarray(given), ["probabilities"])[0], images)


SMALL = {"wide_resnet": lambda: WideResNet(1, 2), "densenet": lambda: DenseNet(3)}  # the shipped ones take long


@pytest.fixture(scope="session", params=["awkward", "lenet", "resnet", "pure_cnn", "nin", "wide_resnet", "densenet"])
def network(request: pytest.FixtureRequest) -> Subject:
    """Each network in turn, trained where its weights are shipped, on a few real images."""
    torch.manual_seed(0)
    if request.param == "awkward":
        spread(module := Awkward(), sample().images[:8])
        return subject(module, np.ascontiguousarray(sample().images[::60, 4:25, 3:30]), 4)
    trained, small = request.param in ("lenet", "resnet"), SMALL.get(request.param)
    module = small() if small else build_classifier(request.param, trained=trained)
    if not trained:
        spread(module, sample().images[:8])
    return subject(module, sample().images[::60], 10)


def spread(module: nn.Module, images: NDArray[np.uint8]) -> None:
    """Let normalization know real images' statistics, so that random weights tell images apart."""
    module.train()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        module(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    module.eval()

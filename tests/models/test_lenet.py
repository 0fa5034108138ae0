"""LeNet: the published size, logits, and its own normalization."""

import numpy as np
import pytest
import torch
from torch import nn

from pixelproof.models.data import sample
from pixelproof.models.layers import CIFAR10_MEAN, CIFAR10_STD
from pixelproof.models.lenet import LeNet


def test_parameters_are_those_of_the_publication():
    assert sum(parameter.numel() for parameter in LeNet().parameters()) == 62_006


@pytest.mark.parametrize("classes", [10, 3])
def test_logits_are_one_a_class(classes: int):
    logits = LeNet(classes)(torch.rand(7, 3, 32, 32))
    assert logits.shape == (7, classes)
    assert logits.dtype == torch.float32


@torch.no_grad()
def test_normalization_is_inside():
    torch.manual_seed(0)
    network = LeNet().eval()
    images = sample().images[:20].astype(np.float32) / 255
    expected = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    network.normalise = nn.Identity()  # type: ignore[assignment]
    normalized = (images - np.float32(CIFAR10_MEAN)) / np.float32(CIFAR10_STD)
    torch.testing.assert_close(network(torch.from_numpy(normalized).permute(0, 3, 1, 2)), expected)

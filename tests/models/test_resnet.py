"""ResNet-32: the published size, any image size, and its own normalization."""

import pytest
import torch
from torch import nn

from pixelproof.models.resnet import ResNet


def test_parameters_are_those_of_resnet_32_with_projections():
    convolutions = [module for module in ResNet().modules() if isinstance(module, nn.Conv2d)]
    main_path = [module for module in convolutions if module.kernel_size == (3, 3)]
    assert len(main_path) + 1 == 32  # the linear layer is the last
    assert sum(parameter.numel() for parameter in ResNet().parameters()) == 466_906


@torch.no_grad()
@pytest.mark.parametrize(("size", "classes"), [((32, 32), 10), ((96, 64), 3), ((17, 33), 10)])
def test_any_size_gives_one_logit_a_class(size: tuple[int, int], classes: int):
    logits = ResNet(blocks=1, classes=classes).eval()(torch.rand(2, 3, *size))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@torch.no_grad()
def test_the_second_and_third_stage_halve_the_image():
    sizes = []
    network = ResNet(blocks=2).eval()
    for block in network.stages:
        block.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    network(torch.rand(1, 3, 32, 32))
    assert sizes == [(16, 32, 32)] * 2 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 2


@torch.no_grad()
def test_normalization_is_inside():
    torch.manual_seed(0)
    network = ResNet(blocks=1).eval()
    images = torch.rand(3, 3, 32, 32)
    expected = network(images)
    normalized = network.normalise(images)
    assert normalized.mean().abs() < images.mean()
    network.normalise = nn.Identity()  # type: ignore[assignment]
    torch.testing.assert_close(network(normalized), expected)

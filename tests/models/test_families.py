"""The classifiers: published sizes, any image size, their own normalization, and every weight learns."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pixelproof.models.data import sample
from pixelproof.models.densenet import DenseNet
from pixelproof.models.layers import CIFAR10_MEAN, CIFAR10_STD
from pixelproof.models.lenet import LeNet
from pixelproof.models.nin import NiN
from pixelproof.models.pure_cnn import PureCNN
from pixelproof.models.resnet import ResNet
from pixelproof.models.wide_resnet import WideResNet

SMALL: dict[str, Callable[..., nn.Module]] = {
    "pure_cnn": lambda **own: PureCNN(widths=(8, 16), **own),
    "nin": NiN,
    "resnet": lambda **own: ResNet(blocks=1, **own),
    "densenet": lambda **own: DenseNet(layers=2, growth=4, **own),
    "wide_resnet": lambda **own: WideResNet(blocks=1, widening=1, **own),
}


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (LeNet, 62_006),
        (PureCNN, 1_370_986),
        (NiN, 968_394),
        (ResNet, 466_906),
        (DenseNet, 769_162),
        (WideResNet, 10_961_370),
    ],
)
def test_parameters_are_those_of_the_publication(build: Callable[[], nn.Module], parameters: int):
    assert sum(parameter.numel() for parameter in build().parameters()) == parameters


@pytest.mark.parametrize(("build", "layers"), [(PureCNN, 9), (NiN, 9), (ResNet, 31), (DenseNet, 99), (WideResNet, 13)])
def test_so_many_convolutions_lie_on_the_main_path(build: Callable[[], nn.Module], layers: int):
    beside = ("projection", "shortcut")
    convolutions = [name for name, module in build().named_modules() if isinstance(module, nn.Conv2d)]
    assert sum(not any(part in name for part in beside) for name in convolutions) == layers


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("size", "classes"), [((32, 32), 10), ((96, 64), 3), ((17, 33), 10)])
def test_any_size_gives_one_logit_a_class(name: str, size: tuple[int, int], classes: int):
    logits = SMALL[name](classes=classes).eval()(torch.rand(2, 3, *size))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("classes", [10, 3])
def test_lenets_logits_are_one_a_class(classes: int):
    logits = LeNet(classes)(torch.rand(7, 3, 32, 32))
    assert logits.shape == (7, classes)
    assert logits.dtype == torch.float32


@torch.no_grad()
@pytest.mark.parametrize("build", [LeNet, *SMALL.values()])
def test_normalization_is_inside(build: Callable[[], nn.Module]):
    torch.manual_seed(0)
    network = build().eval()
    images = torch.from_numpy(sample().images[:3]).permute(0, 3, 1, 2) / 255
    expected = network(images)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CIFAR10_MEAN, CIFAR10_STD))
    normalized = (images - mean) / std
    network.normalise = nn.Identity()  # type: ignore[assignment]
    torch.testing.assert_close(network(normalized), expected)


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_learns(name: str):
    torch.manual_seed(0)
    network = SMALL[name]().train()
    nn.functional.cross_entropy(network(torch.rand(8, 3, 32, 32)), torch.arange(8)).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


@torch.no_grad()
def test_dense_layers_pass_on_what_they_are_given():
    network = DenseNet(layers=2, growth=4).eval()
    features = torch.rand(1, 8, 8, 8)
    assert torch.equal(network.stages[0](features)[:, :8], features)
    assert [tuple(stage(torch.rand(1, 16, 8, 8)).shape) for stage in [network.stages[2]]] == [(1, 8, 4, 4)]


@torch.no_grad()
def test_resnets_second_and_third_stage_halve_the_image():
    sizes = []
    network = ResNet(blocks=2).eval()
    for block in network.stages:
        block.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    network(torch.rand(1, 3, 32, 32))
    assert sizes == [(16, 32, 32)] * 2 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 2

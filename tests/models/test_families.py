"""The larger classifiers: published sizes, any image size, their own normalization, and every weight learns."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pixelproof.models.densenet import DenseNet
from pixelproof.models.nin import NiN
from pixelproof.models.pure_cnn import PureCNN
from pixelproof.models.wide_resnet import WideResNet

SMALL: dict[str, Callable[..., nn.Module]] = {
    "pure_cnn": lambda **own: PureCNN(widths=(8, 16), **own),
    "nin": NiN,
    "densenet": lambda **own: DenseNet(layers=2, growth=4, **own),
    "wide_resnet": lambda **own: WideResNet(blocks=1, widening=1, **own),
}


@pytest.mark.parametrize(
    ("build", "parameters"),
    [(PureCNN, 1_370_986), (NiN, 968_394), (DenseNet, 769_162), (WideResNet, 10_961_370)],
)
def test_parameters_are_those_of_the_publication(build: Callable[[], nn.Module], parameters: int):
    assert sum(parameter.numel() for parameter in build().parameters()) == parameters


@pytest.mark.parametrize(("build", "layers"), [(PureCNN, 9), (NiN, 9), (DenseNet, 99), (WideResNet, 13)])
def test_so_many_convolutions_lie_on_the_main_path(build: Callable[[], nn.Module], layers: int):
    named = build().named_modules()
    assert sum(isinstance(module, nn.Conv2d) and "projection" not in name for name, module in named) == layers


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("size", "classes"), [((32, 32), 10), ((96, 64), 3), ((17, 33), 10)])
def test_any_size_gives_one_logit_a_class(name: str, size: tuple[int, int], classes: int):
    logits = SMALL[name](classes=classes).eval()(torch.rand(2, 3, *size))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
def test_normalization_is_inside(name: str):
    torch.manual_seed(0)
    network = SMALL[name]().eval()
    images = torch.rand(3, 3, 32, 32)
    expected = network(images)
    normalized = network.normalise(images)
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

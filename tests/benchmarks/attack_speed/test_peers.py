"""Other projects' attacks: the real ones where they are installed, and how stand-ins are counted and rounded."""

import importlib.metadata
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pixelproof.benchmarks.attack_speed_contenders import Target
from pixelproof.benchmarks.attack_speed_peers import (
    Budget,
    art_pixel_attack,
    counting,
    on_levels,
    peer,
    peer_versions,
    torchattacks_one_pixel,
)
from pixelproof.benchmarks.latency_ways import Absent

INSTALL = r"Next: pip install 'pixelproof\[peers\]'"


def counted_rows(network: torch.nn.Module) -> list[int]:
    """The sizes of the batches that `network` itself is shown from now on."""
    sizes: list[int] = []
    network.register_forward_hook(lambda _module, inputs, _output: sizes.append(len(inputs[0])))
    return sizes


@pytest.mark.parametrize("index", [0, 1])
def test_art(index: int, lenet: Target, some, budget):
    pytest.importorskip("art", reason="adversarial-robustness-toolbox is not installed")
    check_real(art_pixel_attack, 400, lenet, some, index, budget)


@pytest.mark.parametrize("index", [0, 1])
def test_torchattacks(index: int, lenet: Target, some, budget):
    pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    check_real(torchattacks_one_pixel, budget.population, lenet, some, index, budget)


def check_real(make, population: int, lenet: Target, some, index: int, budget: Budget):
    """It changes one pixel, on the grid; it counts its population, its children and its looks at the best."""
    image, label = some.images.images[index], int(some.images.labels[index])
    sizes = counted_rows(lenet.network)
    contender = make(lenet, budget)
    found = contender.attack(image, label)
    assert (found.image.shape, found.image.dtype) == (image.shape, np.uint8)
    assert (found.image != image).any(-1).sum() <= 1
    assert found.queries == sum(sizes)
    looks = found.queries % population
    assert population * 2 <= found.queries <= population * (1 + budget.generations) + looks
    assert 1 <= looks <= budget.generations + 1
    again = make(lenet, budget).attack(image, label)
    np.testing.assert_array_equal(again.image, found.image)
    assert again.queries == found.queries
    assert (contender.peer, contender.provider) == (True, "PyTorch, CPU")


def test_the_seed_and_the_image_alone_decide_and_numpys_generator_is_left_alone(some):
    network = counting(torch.nn.Identity())

    def run(images: np.ndarray, _label: int) -> np.ndarray:
        network(torch.zeros(7, 1))
        drawn = np.random.random()  # noqa: NPY002
        return np.full_like(images, drawn)

    def attacked(seed: int, image: np.ndarray) -> int:
        found = peer("stand-in", network, run, seed).attack(image, 0)
        assert found.queries == 7
        return int(found.image[0, 0, 0])

    first, second = some.images.images[:2]
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    assert attacked(0, first) == attacked(0, first)
    assert len({attacked(0, first), attacked(1, first), attacked(0, second)}) == 3
    assert np.random.random() == expected  # noqa: NPY002


def test_every_image_survives_the_unit_range_and_others_are_rounded(some):
    images = some.images.images
    scaled = (images.transpose(0, 3, 1, 2) / 255).astype(np.float32)
    np.testing.assert_array_equal(on_levels(scaled), images)
    off_grid = np.array([0.49, 0.51, 254.6, -3, 300], np.float32) / 255
    np.testing.assert_array_equal(
        on_levels(np.tile(off_grid[:, None, None, None], (1, 3, 1, 1)))[:, 0, 0, 0], [0, 1, 255, 0, 255]
    )


def test_how_torchattacks_is_called(monkeypatch, lenet: Target, some):
    calls = []

    class OnePixel:
        def __init__(self, model, **options):
            calls.append(options)
            self.model = model

        def __call__(self, images, labels):
            calls.append((tuple(images.shape), images.dtype, labels.tolist()))
            self.model(images)
            return images

    monkeypatch.setitem(sys.modules, "torchattacks", SimpleNamespace(OnePixel=OnePixel))
    found = torchattacks_one_pixel(lenet, Budget()).attack(some.images.images[0], 3)
    assert calls == [{"pixels": 1, "steps": 75, "popsize": 400}, ((1, 3, 32, 32), torch.float32, [3])]
    np.testing.assert_array_equal(found.image, some.images.images[0])
    assert found.queries == 1


def test_how_art_is_called(monkeypatch, lenet: Target, some):
    calls = []

    def pixel_attack(classifier, **options):
        calls.append((classifier["input_shape"], classifier["nb_classes"], classifier["clip_values"], options))
        return SimpleNamespace(generate=lambda x, y: calls.append((x.shape, x.dtype, y.tolist())) or x)

    for path in ("art", "art.attacks", "art.estimators"):
        monkeypatch.setitem(sys.modules, path, SimpleNamespace())
    monkeypatch.setitem(sys.modules, "art.attacks.evasion", SimpleNamespace(PixelAttack=pixel_attack))
    monkeypatch.setitem(sys.modules, "art.estimators.classification", SimpleNamespace(PyTorchClassifier=dict))
    art_pixel_attack(lenet, Budget()).attack(some.images.images[0], 3)
    assert calls == [
        ((3, 32, 32), 10, (0.0, 1.0), {"th": 1, "es": 1, "max_iter": 75}),
        ((1, 3, 32, 32), np.float32, [3]),
    ]


@pytest.mark.parametrize(
    ("make", "module", "package"),
    [
        (art_pixel_attack, "art", "adversarial-robustness-toolbox"),
        (torchattacks_one_pixel, "torchattacks", "torchattacks"),
    ],
)
def test_what_is_not_installed_is_absent(make, module: str, package: str, lenet: Target, budget, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(module), *sys.meta_path])
    install = INSTALL if module == "art" else "Next: pip install --no-deps torchattacks"
    with pytest.raises(Absent, match=f"needs {package}, which is not installed. {install}"):
        make(lenet, budget)


class _Missing:
    """An import hook to which one package is not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named '{self.name}'", name=self.name)


def test_versions_are_of_what_is_installed():
    told = peer_versions()
    for package in ("adversarial-robustness-toolbox", "torchattacks", "scipy"):
        installed = [found.version for found in importlib.metadata.distributions(name=package)]
        assert told.get(package) == next(iter(installed), None)

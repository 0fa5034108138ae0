"""Other projects' one-pixel attacks, called as their own users call them, on the same PyTorch network on the CPU.

Neither counts its queries, so the network they are given counts the images that it is shown.
"""

import hashlib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.benchmarks.latency_ways import Absent
from pixelproof.errors import missing_extra

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pixelproof.benchmarks.attack_speed_contenders import Target

PACKAGES = ("adversarial-robustness-toolbox", "torchattacks", "scipy")
"""What their speed depends on, for the record."""
ART_POPULATION = 400
"""ART sets it itself: 400 divided by a pixel's five numbers, times five."""


@dataclass(frozen=True)
class Budget:
    """How long differential evolution goes on: generations after the first, its population; and the seed of all."""

    generations: int = 75
    population: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """What an attack made of one image.

    Attributes:
        image: uint8 `(H, W, 3)`, the image that it holds to deceive the classifier, or any other where it failed.
        queries: images that the network was shown, rows that only fill a batch not counted.
        exhausted: every candidate of a named set was evaluated.
    """

    image: NDArray[np.uint8]
    queries: int
    exhausted: bool = False


@dataclass(frozen=True)
class Contender:
    """An attack on one classifier.

    Attributes:
        name: its own name.
        attack: a uint8 image `(H, W, 3)` and its class to what was found, which is not verified.
        provider: the execution provider that really runs, or the framework.
        peer: whether it is another project's.
    """

    name: str
    attack: Callable[[NDArray[np.uint8], int], Found]
    provider: str = "PyTorch, CPU"
    peer: bool = False


def peer(
    name: str, network: "nn.Module", run: Callable[[NDArray[np.float32], int], NDArray[np.float32]], seed: int
) -> Contender:
    """Another project's attack.

    Args:
        name: its own name.
        network: what it attacks; see `counting`.
        run: float32 `(1, 3, H, W)` in 0..1 and the label to the like.
        seed: of what it draws.
    """
    counted: Any = network

    def attack(image: NDArray[np.uint8], label: int) -> Found:
        before = counted.shown
        with _numpy_seeded(seed, image):
            given = run((image.transpose(2, 0, 1)[None] / 255).astype(np.float32), label)
        return Found(on_levels(given)[0], counted.shown - before)

    return Contender(name, attack, peer=True)


def on_levels(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`(n, 3, H, W)` in 0..1 as uint8 `(n, H, W, 3)`, each value the nearest level."""
    levels: NDArray[np.uint8] = np.rint(images.clip(0, 1) * 255).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1).copy()


def art_pixel_attack(target: "Target", budget: Budget) -> Contender:
    """Adversarial Robustness Toolbox: `PixelAttack` of one pixel by differential evolution, population 400 whatever."""
    name = "ART PixelAttack"
    evasion, estimators = (_module(path, name) for path in ("art.attacks.evasion", "art.estimators.classification"))
    from torch.nn import CrossEntropyLoss

    counted = counting(target.network)
    classifier = estimators.PyTorchClassifier(
        model=counted,
        loss=CrossEntropyLoss(),
        input_shape=(3, *target.manifest["image_size"]),
        nb_classes=len(target.manifest["class_names"]),
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    attack = evasion.PixelAttack(classifier, th=1, es=1, max_iter=budget.generations)

    def run(images: NDArray[np.float32], label: int) -> NDArray[np.float32]:
        adversarial: NDArray[np.float32] = attack.generate(x=images, y=np.array([label]))
        return adversarial

    return peer(name, counted, run, budget.seed)


def torchattacks_one_pixel(target: "Target", budget: Budget) -> Contender:
    """Torchattacks: `OnePixel`; its popsize is the whole population, rounded down to a multiple of five."""
    name = "torchattacks OnePixel"
    package = _module("torchattacks", name)
    import torch

    counted = counting(target.network)
    attack = package.OnePixel(counted, pixels=1, steps=budget.generations, popsize=budget.population)

    def run(images: NDArray[np.float32], label: int) -> NDArray[np.float32]:
        adversarial: NDArray[np.float32] = attack(torch.from_numpy(images), torch.tensor([label])).numpy()
        return adversarial

    return peer(name, counted, run, budget.seed)


def counting(network: "nn.Module") -> "nn.Module":
    """The network with an attribute `shown`: how many images it has been shown."""
    from torch import nn

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.shown = network, 0

        def forward(self, images: "Tensor") -> "Tensor":
            self.shown += len(images)
            logits: Tensor = self.network(images)
            return logits

    return Counting().eval()


def peer_versions() -> dict[str, str]:
    """The versions of those `PACKAGES` that are installed."""
    return {
        package: importlib.metadata.version(package)
        for package in PACKAGES
        if any(importlib.metadata.distributions(name=package))
    }


@contextmanager
def _numpy_seeded(seed: int, image: NDArray[np.uint8]) -> Iterator[None]:
    """Meanwhile NumPy's global generator, which both draw from, starts from `seed` and the image alone."""
    digest = hashlib.sha256(seed.to_bytes(8) + image.tobytes()).digest()
    before = np.random.get_state()  # noqa: NPY002  (theirs)
    np.random.seed(int.from_bytes(digest[:4]))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _module(path: str, name: str) -> Any:  # noqa: ANN401  (not always installed)
    try:
        return importlib.import_module(path)
    except ImportError as error:
        if error.name == "torchattacks":  # what it asks for, an old requests and torchvision, is not needed here
            what = f"{name} needs {error.name}, which is not installed"
            raise Absent(f"{what}. Next: pip install --no-deps {error.name}") from None
        package = "adversarial-robustness-toolbox" if error.name == "art" else error.name or path
        raise Absent(str(missing_extra(package, "peers", name))) from None

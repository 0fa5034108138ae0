"""The attacks that are compared: to add one, write a function and list it in `CONTENDERS`.

Such a function makes a contender for a target and a budget, or raises `Absent` with the reason why there is none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import attack
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim
from pixelproof.benchmarks.attack_speed.peers import Budget, Found, art_pixel_attack, torchattacks_one_pixel
from pixelproof.benchmarks.attack_speed.target import Target
from pixelproof.benchmarks.latency_ways import Absent

# with one image at a time, and few candidates of a late generation new, more would be rows that fill a batch
_BATCH_SIZE = 64
_OF_CHANGES = 200  # half a published generation: what is told of changes fills none


class Contender(Protocol):
    """An attack on one classifier."""

    @property
    def name(self) -> str:
        """Its own name."""

    @property
    def peer(self) -> bool:
        """Whether it is another project's."""

    @property
    def provider(self) -> str:
        """The execution provider that really runs, or the framework."""

    def attack(self, image: NDArray[np.uint8], label: int) -> Found:
        """Attack one image `(H, W, 3)` of class `label`; what is found is not verified."""


@dataclass(frozen=True)
class Own:
    """A method of `pixelproof.attack`."""

    name: str
    provider: str
    predict: Predict
    method: str
    seed: int
    parameters: dict[str, Any] = field(default_factory=dict)
    peer: bool = False

    def attack(self, image: NDArray[np.uint8], label: int) -> Found:
        """See `Contender`."""
        found = attack(
            self.predict,
            image[None],
            np.array([label]),
            method=self.method,
            seed=self.seed,
            **self.parameters,
        )
        looks = 1 + int(found.success[0])  # at the unchanged image, and at the winner once more
        return Found(found.images[0], int(found.evaluated[0]) + looks, bool(found.exhausted[0]))


def corners(target: Target, budget: Budget) -> Contender:
    """All positions and corners of the color cube in gradient order, as `pixelproof attack` runs them."""
    return _as_searched("corners", target, target.searched, budget)


def corners_screened(target: Target, budget: Budget) -> Contender:
    """The same, candidates that the network in int8 is sure of left out; what is left after them is not exhausted."""
    return _screened("int8", target, budget)


def corners_screened_in_bf16(target: Target, budget: Budget) -> Contender:
    """The same by the network in bfloat16."""
    own = _screened("bf16", target, budget)
    return replace(own, provider=f"PyTorch, CPU, and {own.provider}")


def corners_in_pytorch(target: Target, budget: Budget) -> Contender:
    """The same on the network that the other projects attack: what the search alone is worth."""
    parameters = {"order": target.order, "batch_size": _BATCH_SIZE}
    return Own("corners, PyTorch", "PyTorch, CPU", target.predict_in_pytorch, "corners", budget.seed, parameters)


def de(target: Target, budget: Budget) -> Contender:
    """Differential evolution as `pixelproof attack` runs it, within the budget."""
    predict = target.searched.predict
    return Own("de", target.deployed.provider, predict, "de", budget.seed, _evolution(budget, predict))


def de_in_pytorch(target: Target, budget: Budget) -> Contender:
    """The same on the network that the other projects attack."""
    predict = target.predict_in_pytorch
    return Own("de, PyTorch", "PyTorch, CPU", predict, "de", budget.seed, _evolution(budget, predict))


def _screened(screen: str, target: Target, budget: Budget) -> Own:
    name = f"corners, screened in {screen}"
    if (precision := target.manifest["precision"]) != "fp32":
        raise Absent(f"{name}: left out, since a classifier in {precision} is not screened")
    return _as_searched(name, target, target.screened(screen), budget)


def _as_searched(name: str, target: Target, victim: Victim, budget: Budget) -> Own:
    parameters = {"order": victim.order, "batch_size": BATCH_SIZE}
    return Own(name, target.deployed.provider, victim.predict, "corners", budget.seed, parameters)


def _evolution(budget: Budget, predict: Predict) -> dict[str, Any]:
    batch_size = _OF_CHANGES if getattr(predict, "of_changes", None) is not None else _BATCH_SIZE
    return {"generations": budget.generations, "population": budget.population, "batch_size": batch_size}


Make = Callable[[Target, Budget], Contender]
CONTENDERS: tuple[Make, ...] = (
    corners,
    corners_screened,
    corners_screened_in_bf16,
    corners_in_pytorch,
    de,
    de_in_pytorch,
    art_pixel_attack,
    torchattacks_one_pixel,
)

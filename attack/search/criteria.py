"""What counts as success: one small object a goal, so that a search method knows neither.

The label of an image is the lowest index among its largest probabilities.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_TINY = np.float32(np.finfo(np.float32).tiny)


class Criterion(Protocol):
    """Judges rows of probabilities, float32 `(m, classes)`, each against its own class, int64 `(m,)`."""

    def succeeded(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the goal is reached, bool `(m,)`."""

    def fitness(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """How far off the goal is, float32 `(m,)`: the smaller, the nearer."""

    def share(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same, but it still tells candidates apart where a sure classifier's probability rounds to 1."""


class Untargeted:
    """Any label but the true one; `classes` are the true labels."""

    def succeeded(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the label is another one, bool `(m,)`."""
        return ~_labeled(probabilities, classes)

    def fitness(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The true class's probability, float32 `(m,)`."""
        return _of(probabilities, classes)

    def share(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Minus the best other class's share of its own and the true class's probability, float32 `(m,)`."""
        return -_share(_best_other(probabilities, classes), _of(probabilities, classes))


class Targeted:
    """One given label; `classes` are the targets."""

    def succeeded(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the label is the target, bool `(m,)`."""
        return _labeled(probabilities, classes)

    def fitness(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Minus the target's probability, float32 `(m,)`."""
        return -_of(probabilities, classes)

    def share(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Minus the target's share of its own and the best other class's probability, float32 `(m,)`."""
        return -_share(_of(probabilities, classes), _best_other(probabilities, classes))


def criterion_for(targets: NDArray[np.int64] | None) -> Criterion:
    """The goal of an attack with these targets."""
    return Untargeted() if targets is None else Targeted()


def _labeled(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the label is the given class."""
    labeled: NDArray[np.bool_] = probabilities.argmax(axis=1) == classes
    return labeled


def _of(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The given class's probability."""
    return probabilities[np.arange(len(classes)), classes]


def _best_other(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The largest probability of the other classes."""
    others = probabilities.copy()
    others[np.arange(len(classes)), classes] = 0
    best: NDArray[np.float32] = others.max(axis=1)
    return best


def _share(wanted: NDArray[np.float32], unwanted: NDArray[np.float32]) -> NDArray[np.float32]:
    share: NDArray[np.float32] = wanted / np.maximum(wanted + unwanted, _TINY)
    return share

"""The protocol between the scheduler and the search methods, and what both know of an attack."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.deprecation import warn_renamed

_TINY = np.float32(np.finfo(np.float32).tiny)

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 `(batch, H, W, 3)` to float32 probabilities `(batch, classes)`."""

Fitness = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]
"""Probabilities `(m, classes)` and the class each row is judged against to float32 `(m,)`: the smaller, the better."""


class Predictor:
    """A classifier as searches ask for it; a plain callable becomes one by `as_predictor`.

    Attributes:
        is_exact: every candidate that is asked for is shown to the classifier itself; where it is not, as in a cascade,
            a search that ran out has exhausted nothing.
        batch_size: rows that a batch had best have; None: any number.
        takes_changes: `predict_changes` may be called: a search then says what changed, and draws no image.
    """

    is_exact: bool = True
    batch_size: int | None = None
    takes_changes: bool = False

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of `images`, uint8 `(n, H, W, 3)`: float32 `(n, classes)`."""
        raise NotImplementedError

    def predict_changes(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        """The probabilities of m candidates, float32 `(m, classes)`.

        Args:
            images: uint8 `(n, H, W, 3)`.
            image_of_row: `(m,)`, the image that each candidate changes.
            positions: `(m, k)` and `colors` `(m, k, 3)`, as in `Candidates`; k = 0: the images as they are.
        """
        raise NotImplementedError

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `predict`."""
        return self.predict(images)


class _Plain(Predictor):
    """A callable, which is shown whole images."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._predict(images)


def as_predictor(predict: Predict) -> Predictor:
    """`predict` itself where it is a `Predictor`, else one that shows it whole images."""
    if isinstance(predict, Predictor):
        return predict
    plain = _Plain(predict)
    if getattr(predict, "screens", False):  # how a callable of one's own said so before
        warn_renamed("screens = True", "is_exact = False, of a pixelproof.attack.search.Predictor")
        plain.is_exact = False
    return plain


class Candidates(NamedTuple):
    """Ways to change one image, in the order in which they count."""

    positions: NDArray[np.int64]
    """`(m, k)`, row * W + column of each pixel; of equal positions the last is seen."""
    colors: NDArray[np.uint8]
    """`(m, k, 3)`."""


Search = Generator[Candidates, NDArray[np.float32], None]
"""One image's search: yields candidates, is sent the fitness of all of them, float32 `(m,)`, and returns when it has no
more. It never hears of a success: the scheduler stops it there."""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Judges rows of probabilities, float32 `(m, classes)`, each against its own class, int64 `(m,)`.

    The label of an image is the lowest index among its largest probabilities.

    Args:
        targeted: success is the given class, a target; else it is any class but the given one, the true label.
    """

    targeted: bool

    def succeeded(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Where the goal is reached, bool `(m,)`."""
        reached: NDArray[np.bool_] = (probabilities.argmax(axis=1) == classes) == self.targeted
        return reached

    def fitness(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """How far off the goal is, float32 `(m,)`: the true class's probability, or minus the target's."""
        given = probabilities[np.arange(len(classes)), classes]
        return -given if self.targeted else given

    def share(self, probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same, float32 `(m,)`, which still differs where a sure classifier's probability rounds to 1.

        It is minus the target's share of its own and the best other class's probability; untargeted, minus the best
        other class's share of its own and the true class's.
        """
        rows = np.arange(len(classes))
        others = probabilities.copy()
        others[rows, classes] = 0
        given, rival = probabilities[rows, classes], others.max(axis=1)
        share: NDArray[np.float32] = (given if self.targeted else rival) / np.maximum(given + rival, _TINY)
        return -share


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The images under attack, and the goal."""

    images: NDArray[np.uint8]
    """`(n, H, W, 3)`, C-contiguous."""
    labels: NDArray[np.int64]
    """`(n,)`, the true classes."""
    targets: NDArray[np.int64] | None
    """`(n,)`, or None when untargeted."""
    pixels: int
    seed: int

    @property
    def criterion(self) -> Criterion:
        """What counts as success."""
        return Criterion(targeted=self.targets is not None)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class that the criterion judges each image against, `(n,)`."""
        return self.labels if self.targets is None else self.targets

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.images.shape[1], self.images.shape[2]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A method applied to a problem."""

    fitness: Fitness
    """What each search is sent."""
    budget: int
    """The most candidates that one image's search proposes."""
    exhaustive: bool
    """A search that ran out has tried every candidate of the method's set."""
    repeats: bool = False
    """A search may propose a candidate again; it is then sent the fitness found before."""
    searches: Callable[[NDArray[np.int64]], Iterator[Search]]
    """The searches of the images at these indices, in that order, each made when it is asked for."""
    then: "Plan | None" = None
    """For the images that withstand this one; what they cost is added up."""

    def chain(self) -> "Iterator[Plan]":
        """This plan and those that follow it."""
        plan: Plan | None = self
        while plan is not None:
            yield plan
            plan = plan.then


class Method(Protocol):
    """A search method with its parameters."""

    def plan(self, problem: Problem) -> Plan:
        """How the method goes about the problem; raises `UsageError` where the two do not fit."""

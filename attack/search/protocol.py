"""The protocol between the scheduler and the search methods, and what both know of an attack."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.criteria import Criterion

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 `(batch, H, W, 3)` to float32 probabilities `(batch, classes)`."""

OfChanges = Callable[[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]], NDArray[np.float32]]
"""Images `(n, H, W, 3)`, the image each of m candidates changes, positions `(m, k)` and colors `(m, k, 3)` as in
`Candidates`, to float32 probabilities `(m, classes)`.

A `predict` may have one as its attribute `of_changes`: it is then told what changed instead of being shown it. If it
also has an attribute `screens` that is true, it may not have tried all it was told, and no search exhausts anything."""

Fitness = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]
"""Probabilities `(m, classes)` and the class each row is judged against to float32 `(m,)`: the smaller, the better."""


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
class Problem:
    """What is attacked, and to what end."""

    images: NDArray[np.uint8]
    """`(n, H, W, 3)`, C-contiguous."""
    labels: NDArray[np.int64]
    """`(n,)`, the true classes."""
    targets: NDArray[np.int64] | None
    """`(n,)`, or None when untargeted."""
    pixels: int
    seed: int
    criterion: Criterion

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
    """A search may well propose a candidate again; it is then told what was found before."""
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

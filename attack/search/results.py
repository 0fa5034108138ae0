"""What an attack returns: the outcome of each image, the outcomes of all images, and the progress on the way."""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.protocol import Problem
from pixelproof.deprecation import warn_renamed


class _OldNames:
    colors: NDArray[np.uint8]

    @property
    def colours(self) -> NDArray[np.uint8]:
        """The old name of `colors`."""
        warn_renamed("colours", "colors")
        return self.colors


@dataclass(frozen=True)
class Outcome(_OldNames):
    """How one image's search ended."""

    index: int
    """Of the image in `images`."""
    attacked: bool
    """False where the classifier was wrong from the start: nothing was searched."""
    success: bool
    pixels: NDArray[np.int64]
    """`(k, 2)`, row and column of each changed pixel, -1 without success; fewer than k pixels repeat one."""
    colors: NDArray[np.uint8]
    """`(k, 3)`, what the pixels show in `image`, 0 without success."""
    image: NDArray[np.uint8]
    """`(H, W, 3)`, the adversarial image, or the image as it was."""
    probabilities_before: NDArray[np.float32]
    """`(classes,)`, the classifier's probabilities of the image as it was."""
    probabilities_after: NDArray[np.float32]
    """`(classes,)`, those of `image`."""
    queries: int
    """The rank of the winning candidate + 1, or all that were tried; of several searches the sum. A candidate that
    `de` proposes again counts again."""
    evaluated: int
    """Candidates that the classifier was asked for, those in flight behind the winner included. A candidate of one
    pixel that `de` proposes again does not count again."""
    exhausted: bool
    """Every candidate of the method's set was evaluated, with no success; `de` and `strongest` have none."""


@dataclass(frozen=True)
class AttackResult(_OldNames):
    """The outcomes of n images in their order, k pixels each; see `Outcome` for the meaning of each field.

    Only `evaluated` depends on the batch size and on the other images. Neither it nor `queries` counts the query of
    the unchanged image, the query that confirms a success, or the queries of a candidate ranking.
    """

    attacked: NDArray[np.bool_]
    """`(n,)`."""
    success: NDArray[np.bool_]
    """`(n,)`."""
    pixels: NDArray[np.int64]
    """`(n, k, 2)`, row and column, -1 without success."""
    colors: NDArray[np.uint8]
    """`(n, k, 3)`."""
    images: NDArray[np.uint8]
    """`(n, H, W, 3)`, unchanged without success."""
    probabilities_before: NDArray[np.float32]
    """`(n, classes)`, the probabilities of the images as they were."""
    probabilities_after: NDArray[np.float32]
    """`(n, classes)`, those of `images`."""
    queries: NDArray[np.int64]
    """`(n,)`."""
    evaluated: NDArray[np.int64]
    """`(n,)`."""
    exhausted: NDArray[np.bool_]
    """`(n,)`."""

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "AttackResult":
        """The outcomes side by side, in the order of the images."""
        ordered = sorted(outcomes, key=lambda outcome: outcome.index)
        one = {field.name: field.name for field in fields(cls)} | {"images": "image"}
        together: dict[str, Any] = {name: np.stack([getattr(each, one[name]) for each in ordered]) for name in one}
        return cls(**together)


class Progress(NamedTuple):
    """How far an attack has come."""

    finished: int
    """Images done."""
    images: int
    """Images in all."""
    successes: int
    evaluated: int
    """Candidates so far."""
    share: float
    """0 to 1: images done, and of those under way the part of their budget that is spent."""


def failure(
    problem: Problem,
    index: int,
    before: NDArray[np.float32],
    *,
    attacked: bool = True,
    queries: int = 0,
    evaluated: int = 0,
    exhausted: bool = False,
) -> Outcome:
    """The outcome of an image whose candidates all failed, or that was not `attacked`.

    `before`: the classifier's probabilities of the image, `(classes,)`.
    """
    return Outcome(
        index,
        attacked=attacked,
        success=False,
        pixels=np.full((problem.pixels, 2), -1, np.int64),
        colors=np.zeros((problem.pixels, 3), np.uint8),
        image=problem.images[index],
        probabilities_before=before,
        probabilities_after=before,
        queries=queries,
        evaluated=evaluated,
        exhausted=exhausted,
    )


def success(
    problem: Problem,
    index: int,
    positions: NDArray[np.int64],
    colors: NDArray[np.uint8],
    *,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    queries: int,
    evaluated: int,
) -> Outcome:
    """The outcome of an image that a candidate of `positions` `(k,)` and `colors` `(k, 3)` changed with success.

    `before` and `after`: the classifier's probabilities of the image as it was and of the candidate, `(classes,)`.
    """
    rows, columns = np.divmod(positions, problem.size[1])
    image = problem.images[index].copy()
    for row, column, color in zip(rows, columns, colors, strict=True):
        image[row, column] = color  # one by one: of equal positions the last is seen
    return Outcome(
        index,
        attacked=True,
        success=True,
        pixels=np.stack([rows, columns], axis=-1),
        colors=image[rows, columns],
        image=image,
        probabilities_before=before,
        probabilities_after=after,
        queries=queries,
        evaluated=evaluated,
        exhausted=False,
    )

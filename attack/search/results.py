"""What an attack gives back: one image's outcome as it ends, all of them together, and how far the work has come."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelproof.deprecation import warn_renamed


@dataclass(frozen=True)
class Outcome:
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
    """Candidates that the classifier was asked for: those in flight behind the winner too, and not those of one pixel
    that `de` proposed before."""
    exhausted: bool
    """Every candidate of the method's set was evaluated, with no success; `de` and `strongest` have none."""

    @property
    def colours(self) -> NDArray[np.uint8]:
        """The old name of `colors`."""
        warn_renamed("colours", "colors")
        return self.colors


@dataclass(frozen=True)
class AttackResult:
    """The outcomes of n images in their order, k pixels each; see `Outcome` for the meaning of each field.

    Only `evaluated` depends on the batch size and on the other images. Neither it nor `queries` counts the look at the
    unchanged image, the second look that confirms a success, or what an order asked.
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

    @property
    def colours(self) -> NDArray[np.uint8]:
        """The old name of `colors`."""
        warn_renamed("colours", "colors")
        return self.colors

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "AttackResult":
        """The outcomes side by side, in the order of the images."""
        ordered = sorted(outcomes, key=lambda outcome: outcome.index)
        return cls(
            attacked=np.array([each.attacked for each in ordered], np.bool_),
            success=np.array([each.success for each in ordered], np.bool_),
            pixels=np.stack([each.pixels for each in ordered]),
            colors=np.stack([each.colors for each in ordered]),
            images=np.stack([each.image for each in ordered]),
            probabilities_before=np.stack([each.probabilities_before for each in ordered]),
            probabilities_after=np.stack([each.probabilities_after for each in ordered]),
            queries=np.array([each.queries for each in ordered], np.int64),
            evaluated=np.array([each.evaluated for each in ordered], np.int64),
            exhausted=np.array([each.exhausted for each in ordered], np.bool_),
        )


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

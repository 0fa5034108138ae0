"""The order in which `corners` and `levels` try their candidates."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.checks import as_array
from pixelproof.errors import UsageError


class Order(Protocol):
    """Ranks each image's candidates, most promising first."""

    def __call__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.integer[Any]]:
        """The ranking, integers `(n, candidates)`: each row a permutation of 0 .. candidates - 1.

        Called with a few images at a time, when they are about to be searched. An order is told the colors and
        the targets too, because what is promising depends on them: one order then serves every candidate set.

        Args:
            images: uint8 `(n, H, W, 3)`.
            labels: int64 `(n,)`.
            colors: uint8 `(n, H, W, C, 3)`, what each position is to be tried with; candidate
                (row * W + column) * C + c sets pixel (row, column) to color c.
            targets: int64 `(n,)`, or None when untargeted.
        """


def rank(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The ranking of scores `(n, candidates)`, smallest first, equal ones by number."""
    return scores.argsort(axis=1, kind="stable").astype(np.int32)


def spread(count: int) -> NDArray[np.int32]:
    """A ranking `(count,)` whose every beginning is spread evenly over all candidates."""
    step = round(count * (math.sqrt(5) - 1) / 2)  # the golden section leaves no large gap
    while math.gcd(step, count) != 1:
        step += 1
    return (np.arange(count, dtype=np.int64) * step % count).astype(np.int32)


def checked_ranking(ranking: Any, shape: tuple[int, int]) -> NDArray[np.int32]:  # noqa: ANN401  (a caller's callable)
    """What an order gave, as int32, if it ranks every candidate of every image once."""
    given = as_array("what order gave", ranking, f"integers (images, candidates) {shape}")
    if given.dtype.kind not in "iu" or given.shape != shape:
        raise UsageError(
            f"order gave {given.dtype} of shape {given.shape}, expected integers (images, candidates) {shape}. "
            "Next: use gradient_order or sweep_order of pixelproof.attack, or rank every candidate"
        )
    missing = np.ones(shape, np.bool_)
    if given.min() >= 0 and given.max() < shape[1]:
        np.put_along_axis(missing, given, values=False, axis=1)
    if missing.any():
        raise UsageError(
            f"order did not rank each of the {shape[1]} candidates once. Next: return a permutation of "
            f"0 to {shape[1] - 1} for each image"
        )
    return given.astype(np.int32, copy=False)

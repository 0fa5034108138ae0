"""`corners`: every position x the 8 corners of a color box, or x a purifier's own list of colors.

Source: the corners of the color cube as candidates: Croce, Hein, "Sparse and imperceivable adversarial attacks", ICCV
2019 (CornerSearch, which ranks single pixels by the network's answers and draws sets of several at random).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods.grid_search import GridSearch
from pixelproof.attack.methods.orders import Order
from pixelproof.attack.search.colors import box_table, listed_table
from pixelproof.attack.search.protocol import Plan, Problem
from pixelproof.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Corners:
    """One pixel: every candidate once, in order. Several: the widening beam search of `widening`.

    Args:
        order: ranks each image's candidates, most promising first (`gradient_order`, `sweep_order` or one's own, see
            `Order`). Without one they come in the order of their numbers (see `colors`), or, with several pixels,
            spread evenly over the image, since the first ones found good steer the rest.
        low: the color box's low end, 0 to 255: an integer, or an integer array that broadcasts to the images'
            shape `(n, H, W, 3)`.
        high: its high end, likewise; nowhere below `low`.
        colors: in place of the box, the colors to try at each position, such as those that a purifier lets pass:
            uint8 `(n, H, W, C, 3)`, or a function that gives this for some of the images, `(m, H, W, 3)`.
    """

    is_random: ClassVar = False
    order: Order | None = None
    low: Any = 0
    high: Any = 255
    colors: NDArray[np.uint8] | Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None

    def __post_init__(self) -> None:
        if self.colors is not None and (np.any(np.not_equal(self.low, 0)) or np.any(np.not_equal(self.high, 255))):
            raise UsageError(
                "colors and a box (low, high) were both given; corners takes one of them. Next: leave out the other"
            )

    def plan(self, problem: Problem) -> Plan:
        """The plan for a problem; raises `UsageError` where box or colors do not fit its images."""
        if self.colors is not None:
            return GridSearch(problem, listed_table(self.colors, problem.images), self.order).plan()
        return GridSearch(problem, box_table(self.low, self.high, 2, problem.images.shape), self.order).plan()

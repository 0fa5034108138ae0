"""`corners` and `levels`: every position x the colors of a table, in the order of a candidate ranking.

Source: the corners of the color cube as candidates: Croce, Hein, "Sparse and imperceivable adversarial attacks", ICCV
2019 (CornerSearch, which ranks single pixels by the network's answers and draws sets of several at random).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods.beam import several_pixels, several_pixels_budget
from pixelproof.attack.methods.ranking import Ranking, checked_ranking, spread
from pixelproof.attack.search.candidates import ColorTable, box_table, decode, listed_table
from pixelproof.attack.search.checks import check_callable, checked_number
from pixelproof.attack.search.protocol import Plan, Problem, Search
from pixelproof.errors import UsageError

_FIRST_PAGE, _PAGE = 256, 8192  # candidates decoded at a time; most successes are among the first few
_CANDIDATES_AT_ONCE = 1 << 22  # of all images ranked ahead: 16 MiB of rankings
_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Corners:
    """Every position x the 8 corners of a color box, or x listed colors.

    Of one pixel every candidate is tried once, by its rank; of several pixels a beam search is run (see `beam.py`).

    Args:
        order: the candidate ranking of each image, most promising first (`gradient_ranking`, `sweep_ranking` or one's
            own, see `Ranking`). Without one, single pixels come by their number (see `search/candidates.py`). Several
            pixels come spread evenly over the image, since the first good ones steer the rest.
        low: the color box's low end, 0 to 255: an integer, or an integer array that broadcasts to the images'
            shape `(n, H, W, 3)`.
        high: its high end, likewise; nowhere below `low`.
        colors: in place of the box, the colors to try at each position, such as those that a purifier accepts:
            uint8 `(n, H, W, C, 3)`, or a function that returns this for some of the images, `(m, H, W, 3)`.

    Raises:
        UsageError: colors and a box are both given.
    """

    is_random: ClassVar = False
    order: Ranking | None = None
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
            return _plan(problem, listed_table(self.colors, problem.images), self.order)
        return _plan(problem, box_table(self.low, self.high, 2, problem.images.shape), self.order)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Every position x L^3 colors: L evenly spaced values a channel, from the low to the high end of a color box.

    Args:
        levels: L, 2 to 16.
        order: as for `Corners`.
        low: as for `Corners`.
        high: as for `Corners`.

    Raises:
        UsageError: L is no integer from 2 to 16.
    """

    is_random: ClassVar = False
    levels: int = 4
    order: Ranking | None = None
    low: Any = 0
    high: Any = 255

    def __post_init__(self) -> None:
        checked_number("levels", self.levels, 2, 16)

    def plan(self, problem: Problem) -> Plan:
        """The plan for a problem; raises `UsageError` where the box does not fit its images."""
        return _plan(problem, box_table(self.low, self.high, self.levels, problem.images.shape), self.order)


def _plan(problem: Problem, table: ColorTable, order: Ranking | None) -> Plan:
    """The plan of a table; it is looked up for the first image, so that an unfit one is refused at once."""
    if order is not None:
        check_callable("order", order)
    count = table(np.zeros(1, np.int64))[0, ..., 0].size
    one = problem.pixels == 1
    return Plan(
        fitness=problem.criterion.fitness if one else problem.criterion.share,  # of one pixel it is not used
        budget=count if one else several_pixels_budget(count, problem.pixels),
        exhaustive=one,
        searches=lambda indices: _searches(problem, table, order, count, indices),
    )


def _searches(
    problem: Problem, table: ColorTable, order: Ranking | None, count: int, indices: NDArray[np.int64]
) -> Iterator[Search]:
    """Each image's search; tables and rankings are made for some images ahead, never for all."""
    ahead = max(1, min(_IMAGES_AT_ONCE, _CANDIDATES_AT_ONCE // count))
    for start in range(0, len(indices), ahead):
        chunk = indices[start : start + ahead]
        colors = table(chunk)
        for image_colors, ranking in zip(colors, _rankings(problem, order, chunk, colors), strict=True):
            if problem.pixels == 1:
                yield _one_pixel(image_colors, ranking)
            else:
                yield several_pixels(image_colors, ranking, problem.pixels)


def _rankings(
    problem: Problem, order: Ranking | None, indices: NDArray[np.int64], colors: NDArray[np.uint8]
) -> NDArray[np.int32]:
    shape = len(colors), colors[0, ..., 0].size
    if order is None:
        natural = np.arange(shape[1], dtype=np.int32) if problem.pixels == 1 else spread(shape[1])
        return np.broadcast_to(natural, shape)
    targets = None if problem.targets is None else problem.targets[indices]
    return checked_ranking(order(problem.images[indices], problem.labels[indices], colors, targets), shape)


def _one_pixel(colors: NDArray[np.uint8], ranking: NDArray[np.int32]) -> Search:
    """Every candidate once, in the ranking's order: of colors `(H, W, C, 3)`, `(H * W * C,)` candidates."""
    start, size = 0, _FIRST_PAGE
    while start < len(ranking):
        yield decode(colors, ranking[start : start + size, None])
        start, size = start + size, _PAGE

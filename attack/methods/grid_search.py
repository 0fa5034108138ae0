"""What `corners` and `levels` share: a table of colors for every position, searched in order."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods.beam import several_pixels, several_pixels_budget
from pixelproof.attack.methods.orders import Order, checked_ranking, spread
from pixelproof.attack.search.checks import check_callable
from pixelproof.attack.search.colors import ColorTable, decode
from pixelproof.attack.search.protocol import Plan, Problem, Search

_FIRST_PAGE, _PAGE = 256, 8192  # candidates decoded at a time; most images that fall do so among the first few
_CANDIDATES_AT_ONCE = 1 << 22  # of all images ranked ahead: 16 MiB of rankings
_IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class GridSearch:
    """Searches every position x the colors of a table: one pixel in ranked order, several by `widening`."""

    problem: Problem
    table: ColorTable
    order: Order | None

    def plan(self) -> Plan:
        """The plan; the table is looked up for the first image, so that an unfit one is refused at once."""
        if self.order is not None:
            check_callable("order", self.order)
        count = self.table(np.zeros(1, np.int64))[0, ..., 0].size
        one = self.problem.pixels == 1
        criterion = self.problem.criterion
        return Plan(
            fitness=criterion.fitness if one else criterion.share,  # the one-pixel search asks for none
            budget=count if one else several_pixels_budget(count, self.problem.pixels),
            exhaustive=one,
            searches=lambda indices: self._searches(count, indices),
        )

    def _searches(self, count: int, indices: NDArray[np.int64]) -> Iterator[Search]:
        """Each image's search; tables and rankings are made for some images ahead, never for all."""
        ahead = max(1, min(_IMAGES_AT_ONCE, _CANDIDATES_AT_ONCE // count))
        for start in range(0, len(indices), ahead):
            chunk = indices[start : start + ahead]
            colors = self.table(chunk)
            for image_colors, ranking in zip(colors, self._rankings(chunk, colors), strict=True):
                if self.problem.pixels == 1:
                    yield one_pixel(image_colors, ranking)
                else:
                    yield several_pixels(image_colors, ranking, self.problem.pixels)

    def _rankings(self, indices: NDArray[np.int64], colors: NDArray[np.uint8]) -> NDArray[np.int32]:
        images, height, width, each, _ = colors.shape
        count = height * width * each
        if self.order is None:
            natural = np.arange(count, dtype=np.int32) if self.problem.pixels == 1 else spread(count)
            return np.broadcast_to(natural, (images, count))
        targets = None if self.problem.targets is None else self.problem.targets[indices]
        ranking = self.order(self.problem.images[indices], self.problem.labels[indices], colors, targets)
        return checked_ranking(ranking, (images, count))


def one_pixel(colors: NDArray[np.uint8], ranking: NDArray[np.int32]) -> Search:
    """Every candidate once, in the ranking's order.

    Args:
        colors: uint8 `(H, W, C, 3)`.
        ranking: int32 `(H * W * C,)`.
    """
    start, size = 0, _FIRST_PAGE
    while start < len(ranking):
        yield decode(colors, ranking[start : start + size, None])
        start, size = start + size, _PAGE

"""Makes the `Outcome` of one image, for the searches on the CPU and on a GPU alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.protocol import Problem
from pixelproof.attack.search.results import Outcome


def not_attacked(problem: Problem, index: int, before: NDArray[np.float32]) -> Outcome:
    """The classifier was wrong from the start; `before` `(classes,)` is what it said."""
    unchanged = _unchanged(problem, index, before)
    return Outcome(index, attacked=False, **unchanged, queries=0, evaluated=0, exhausted=False)


def failure(
    problem: Problem, index: int, before: NDArray[np.float32], *, queries: int, evaluated: int, exhausted: bool
) -> Outcome:
    """No candidate succeeded."""
    return Outcome(
        index,
        attacked=True,
        **_unchanged(problem, index, before),
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
    """The candidate with these `positions` `(k,)` and `colors` `(k, 3)` succeeded; `after` is what it was given."""
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


def _unchanged(problem: Problem, index: int, before: NDArray[np.float32]) -> dict[str, Any]:
    return {
        "success": False,
        "pixels": np.full((problem.pixels, 2), -1, np.int64),
        "colors": np.zeros((problem.pixels, 3), np.uint8),
        "image": problem.images[index],
        "probabilities_before": before,
        "probabilities_after": before,
    }

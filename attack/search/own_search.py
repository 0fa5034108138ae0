"""Looks at what a search of somebody's own proposes, which would be painted into other images' rows otherwise."""

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.protocol import Candidates, Problem, Search
from pixelproof.errors import UsageError

OWN_SEARCH = 'Next: python -c "from pixelproof.attack import search; help(search)"'


def checked_search(search: Search, problem: Problem) -> Search:
    """A search of somebody's own, each of its proposals looked at; `UsageError` for one that is not as described."""
    fitness: NDArray[np.float32] | None = None
    with contextlib.closing(search):
        while True:
            try:
                proposed = next(search) if fitness is None else search.send(fitness)
            except StopIteration:
                if fitness is None:
                    raise UsageError(f"a search proposed nothing. {OWN_SEARCH}") from None
                return
            fitness = yield _checked(proposed, problem)


def _checked(proposed: Any, problem: Problem) -> Candidates:  # noqa: ANN401  (whatever the search gave)
    if not isinstance(proposed, tuple) or len(proposed) != 2:
        raise UsageError(f"a search proposed {type(proposed).__name__}, expected Candidates. {OWN_SEARCH}")
    positions, colors = map(np.asarray, proposed)
    count, pixels = len(np.atleast_1d(positions)), problem.pixels
    _check("positions", positions, (count, pixels), np.int64)
    _check("colors", colors, (count, pixels, 3), np.uint8)
    places = problem.size[0] * problem.size[1]
    if positions.min() < 0 or positions.max() >= places:
        raise UsageError(
            f"a search proposed positions {positions.min()} to {positions.max()}, and there are 0 to {places - 1}, "
            f"row * W + column. {OWN_SEARCH}"
        )
    return Candidates(positions, colors)


def _check(name: str, part: NDArray[Any], shape: tuple[int, ...], kind: type[np.generic]) -> None:
    if part.shape != shape or part.dtype != kind or not part.size:
        expected = f"{kind.__name__} (m, {', '.join(map(str, shape[1:]))}), m above 0"
        raise UsageError(f"a search proposed {name} {part.dtype} {part.shape}, expected {expected}. {OWN_SEARCH}")

"""Several pixels: a beam search that starts narrow and is widened where it fails.

A rung looks at single pixels first, most promising first. From the best of them it builds teams of k pixels, one pixel
at a time, keeping the best teams of each size, then refines the best team: each pixel in turn is searched again with
the others fixed, until none gains. Most successes come on the narrow first rung; the last one starts from every single
candidate. Any candidate that succeeds on the way ends the search.
"""

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.candidates import decode
from pixelproof.attack.search.protocol import Candidates, Search

_PAGE = 8192  # teams proposed at a time
_REFINEMENTS = 2  # times that each pixel of the best team is searched again, at most


class Rung(NamedTuple):
    """How wide a search is."""

    swept: float
    """Share of the candidates tried as single pixels."""
    kept: float
    """Share of the candidates, the best single ones, from which teams are built."""
    beam: int
    """Teams kept of each size."""


RUNGS = (Rung(1 / 32, 1 / 64, 1), Rung(1 / 8, 1 / 64, 4), Rung(1, 1 / 32, 8))

Sweep = Generator[Candidates, NDArray[np.float32], NDArray[np.float32]]
Teams = NDArray[np.int32]


def several_pixels(colors: NDArray[np.uint8], ranking: NDArray[np.int32], pixels: int) -> Search:
    """The search of one image.

    Args:
        colors: uint8 `(H, W, C, 3)`, what each position may take.
        ranking: int32 `(candidates,)`, most promising first.
        pixels: k, at least 2.
    """
    fitness = np.empty(len(ranking), np.float32)
    swept = 0
    for rung in RUNGS:
        reach = _part(rung.swept, len(ranking))
        fitness[swept:reach] = yield from _sweep(colors, ranking[swept:reach, None], pixels)
        swept = reach
        kept = ranking[fitness[:swept].argsort(kind="stable")[: _part(rung.kept, len(ranking))]]
        yield from _team_up(colors, kept, pixels, rung.beam)


def several_pixels_budget(count: int, pixels: int) -> int:
    """The most candidates that `several_pixels` proposes for `count` single ones."""
    widths = [(_part(rung.kept, count), rung.beam) for rung in RUNGS]
    return count + sum(kept * (beam * (pixels - 1) + _REFINEMENTS * pixels) for kept, beam in widths)


def _part(share: float, count: int) -> int:
    return max(1, int(share * count))


def _sweep(colors: NDArray[np.uint8], teams: Teams, pixels: int) -> Sweep:
    """The fitness of teams, int32 `(m, size)`, float32 `(m,)`; a team too small repeats its last pixel."""
    full = np.concatenate([teams, np.repeat(teams[:, -1:], pixels - teams.shape[1], axis=1)], axis=1)
    fitness = np.empty(len(teams), np.float32)
    for start in range(0, len(teams), _PAGE):
        fitness[start : start + _PAGE] = yield decode(colors, full[start : start + _PAGE])
    return fitness


def _team_up(colors: NDArray[np.uint8], kept: NDArray[np.int32], pixels: int, beam: int) -> Search:
    teams: Teams = kept[:beam, None]
    best = np.float32(np.inf)
    for _ in range(pixels - 1):
        teams = np.concatenate([np.repeat(teams, len(kept), axis=0), np.tile(kept, len(teams))[:, None]], axis=1)
        fitness = yield from _sweep(colors, teams, pixels)
        fittest = _fittest(teams, fitness, beam)
        teams, best = teams[fittest], fitness[fittest[0]]
    yield from _refine(colors, kept, teams[0], best)


def _fittest(teams: Teams, fitness: NDArray[np.float32], beam: int) -> list[int]:
    """The rows of the `beam` best teams, no two of the same members."""
    members: dict[frozenset[int], int] = {}
    for row in fitness.argsort(kind="stable").tolist():
        members.setdefault(frozenset(teams[row].tolist()), row)
        if len(members) == beam:
            break
    return list(members.values())


def _refine(colors: NDArray[np.uint8], kept: NDArray[np.int32], team: NDArray[np.int32], best: np.float32) -> Search:
    without_gain = 0
    for _ in range(_REFINEMENTS * len(team)):
        teams = np.concatenate([np.tile(team[1:], (len(kept), 1)), kept[:, None]], axis=1)
        fitness = yield from _sweep(colors, teams, len(team))
        fittest = int(fitness.argmin())
        if fitness[fittest] < best:
            team, best, without_gain = teams[fittest], fitness[fittest], 0
        else:
            team, without_gain = np.roll(team, -1), without_gain + 1
        if without_gain == len(team):
            return

"""`strongest`: the union of all searches, which is what a careful evaluator reports."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods.differential_evolution import DifferentialEvolution
from pixelproof.attack.methods.grid import Levels
from pixelproof.attack.methods.ranking import Ranking
from pixelproof.attack.search.checks import checked_number
from pixelproof.attack.search.protocol import Method, Plan, Problem

DE_SEEDS = 3  # what one seed misses, another may find


class Step(NamedTuple):
    """One of the searches."""

    method: str
    seed: int
    passed: bool = False
    """Of the colors that a purifier accepts."""


def steps(seed: int, *, passed: bool, seeds: int = DE_SEEDS) -> list[Step]:
    """The searches in their order: all methods, those that draw from several seeds.

    `passed`: a purifier states which colors it accepts, and those come first.
    """
    from pixelproof.attack.methods import METHODS

    found = [Step("corners", seed, passed=True)] if passed else []
    for name, method in METHODS.items():
        if method is not Strongest:
            found += [Step(name, each) for each in (range(seed, seed + seeds) if method.is_random else [seed])]
    return found


@dataclass(frozen=True, kw_only=True)
class Strongest:
    """Corners of what a purifier accepts, then every method in `METHODS`, those that draw from several seeds.

    Each search attacks the images that withstood those before it. An image's queries are those of all its searches, and
    none counts as exhausted: evolution has no end.

    Args:
        order: as for `Corners`; of the corners and the levels.
        colors: as for `Corners`: those that a purifier accepts, tried first; None where it states none.
        levels: as for `Levels`.
        seeds: how often to evolve, 1 to 1,000: from `seed`, `seed` + 1 and so on.
        population: as for `DifferentialEvolution`.
        generations: likewise.
        factor: likewise.
    """

    is_random: ClassVar = True
    order: Ranking | None = None
    colors: NDArray[np.uint8] | Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None
    levels: int = 4
    seeds: int = DE_SEEDS
    population: int = 400
    generations: int = 100
    factor: float = 0.5

    def __post_init__(self) -> None:
        checked_number("seeds", self.seeds, 1, 1000)
        Levels(levels=self.levels)
        DifferentialEvolution(population=self.population, generations=self.generations, factor=self.factor)

    def plan(self, problem: Problem) -> Plan:
        """The first search's plan, the others following it; raises `UsageError` where one does not fit the problem."""
        checked_number("seed", problem.seed, 0, 2**63 - self.seeds)
        chained: Plan | None = None
        for step in reversed(steps(problem.seed, passed=self.colors is not None, seeds=self.seeds)):
            chained = replace(self._method(step).plan(replace(problem, seed=step.seed)), then=chained)
        assert chained is not None
        return chained

    def _method(self, step: Step) -> Method:
        """The step's method, with those of these options that it has."""
        from pixelproof.attack.methods import METHODS, options_of

        options = {name: getattr(self, name) for name in options_of(step.method) & options_of("strongest")}
        if "colors" in options and not step.passed:
            del options["colors"]
        method: Method = METHODS[step.method](**options)
        return method

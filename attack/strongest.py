"""`strongest`: the union of all searches, which is what a careful evaluator reports."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.checks import checked_number
from pixelproof.attack.corners import Corners
from pixelproof.attack.de import DifferentialEvolution
from pixelproof.attack.levels import Levels
from pixelproof.attack.orders import Order
from pixelproof.attack.search import Method, Plan, Problem

DE_SEEDS = 3  # what one seed misses, another may find


@dataclass(frozen=True, kw_only=True)
class Strongest:
    """Corners of what a purifier lets pass, corners, levels, then evolution from several seeds.

    Each search attacks the images that withstood those before it. An image's queries are those of all its searches.

    Args:
        order: as for `Corners`; of the corners and the levels.
        colours: as for `Corners`: those that a purifier lets pass, tried first. None where it tells of none.
        levels: as for `Levels`.
        seeds: how often to evolve, 1 to 1,000: from `seed`, `seed` + 1 and so on.
        population: as for `DifferentialEvolution`.
        generations: likewise.
        factor: likewise.
    """

    order: Order | None = None
    colours: NDArray[np.uint8] | Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None
    levels: int = 4
    seeds: int = DE_SEEDS
    population: int = 400
    generations: int = 100
    factor: float = 0.5

    def __post_init__(self) -> None:
        checked_number("seeds", self.seeds, 1, 1000)
        Levels(levels=self.levels)
        self._evolution()

    def plan(self, problem: Problem) -> Plan:
        """The first search's plan, the others following it; raises `UsageError` where one does not fit the problem."""
        first, *others = (method.plan(part) for method, part in self._searches(problem))
        chained: Plan | None = None
        for plan in reversed(others):
            chained = replace(plan, then=chained)
        return replace(first, then=chained)

    def _searches(self, problem: Problem) -> Iterator[tuple[Method, Problem]]:
        if self.colours is not None:
            yield Corners(order=self.order, colours=self.colours), problem
        yield Corners(order=self.order), problem
        yield Levels(order=self.order, levels=self.levels), problem
        for seed in range(problem.seed, problem.seed + self.seeds):
            checked_number("seed", seed, 0, 2**63 - 1)
            yield self._evolution(), replace(problem, seed=seed)

    def _evolution(self) -> DifferentialEvolution:
        return DifferentialEvolution(population=self.population, generations=self.generations, factor=self.factor)

"""Differential evolution, rand/1 without crossover, as in the attack's first publication.

Source: Su, Vargas, Sakurai, "One pixel attack for fooling deep neural networks", IEEE Transactions on Evolutionary
Computation 2019, section III.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.checks import check_factor, checked_number
from pixelproof.attack.search.protocol import Candidates, Plan, Problem, Search
from pixelproof.attack.search.randomness import Key, first_population, parents, search_key

_GENERATIONS_AT_ONCE = 16  # parents drawn in one go: many small NumPy calls would cost more than LeNet


@dataclass(frozen=True, kw_only=True)
class DifferentialEvolution:
    """A population of candidates, each generation's children replacing parents that they equal or beat.

    A candidate is `pixels` times (row, column, red, green, blue), floats. The first population has its positions
    uniform and its colors N(128, 127), clipped. Child i is x[r1] + factor * (x[r2] - x[r3]) of the generation before,
    in float32; what is drawn of it is its floor, clipped to the image and to 0..255. Every candidate counts. Of one
    pixel, `attack` does not evaluate one again that is drawn as one before it: as the population draws together, most
    are.

    Args:
        population: candidates a generation, at least 4.
        generations: generations after the first.
        factor: the differential weight F, above 0, at most 2.
    """

    is_random: ClassVar = True
    population: int = 400
    generations: int = 100
    factor: float = 0.5

    def __post_init__(self) -> None:
        checked_number("population", self.population, 4, 1 << 20)
        checked_number("generations", self.generations, 0, 1 << 20)
        check_factor("factor", self.factor)

    def plan(self, problem: Problem) -> Plan:
        """The plan for a problem; what it proposes for an image depends on the seed and the image alone."""
        return Plan(
            fitness=problem.criterion.fitness,
            budget=self.population * (self.generations + 1),
            exhaustive=False,
            repeats=problem.pixels == 1,
            searches=lambda indices: self._searches(problem, indices),
        )

    def _searches(self, problem: Problem, indices: NDArray[np.int64]) -> Iterator[Search]:
        for index in indices.tolist():
            yield self._evolve(key_of(problem, index), problem.pixels, *problem.size)

    def _evolve(self, key: Key, pixels: int, height: int, width: int) -> Search:
        members = first_population(key, self.population, pixels, height, width)
        fitness = yield drawn(members, height, width)
        for generation in range(self.generations):
            ahead = generation % _GENERATIONS_AT_ONCE
            if ahead == 0:
                last = min(generation + _GENERATIONS_AT_ONCE, self.generations)
                chosen = parents(key, range(generation + 1, last + 1), self.population)
            first, second, third = members[chosen[:, ahead]]
            with np.errstate(over="ignore", invalid="ignore"):  # where no child is worse, members wander off for ever
                children = first + np.float32(self.factor) * (second - third)
            children_fitness = yield drawn(children, height, width)
            better = children_fitness <= fitness
            members[better], fitness[better] = children[better], children_fitness[better]


def key_of(problem: Problem, index: int) -> Key:
    """The key of an image's evolution."""
    target = None if problem.targets is None else int(problem.targets[index])
    return search_key(problem.seed, "de", problem.pixels, target, int(problem.labels[index]), problem.images[index])


def drawn(members: NDArray[np.float32], height: int, width: int) -> Candidates:
    """The candidates of float32 `(population, pixels, 5)`: row, column, red, green, blue, floored and clipped."""
    highest = np.array([height - 1, width - 1, 255, 255, 255], np.float32)
    whole = np.fmin(np.fmax(np.floor(members), 0), highest).astype(np.int64)  # NaN is drawn as 0
    return Candidates(whole[..., 0] * width + whole[..., 1], whole[..., 2:].astype(np.uint8))

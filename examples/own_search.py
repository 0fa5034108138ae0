"""A search of one's own beside those that come with pixelproof, on the same images and by the same rules.

    python examples/own_search.py lenet-gated 20

A search is a generator for each image: it yields candidates, is sent their fitness (the smaller, the nearer to
success), and never hears of a success, at which it is stopped. How many images are searched at a time, batches, second
looks at a success and the count of queries are `attack`'s affair.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import attack
from pixelproof.attack.search import Candidates, Plan, Problem, Search
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class RandomSearch:
    """Candidates drawn uniformly: the least that a search has to beat.

    Args:
        budget: candidates an image.
        at_once: candidates a proposal; a search that goes by their fitness would propose few.
    """

    is_random: ClassVar = True  # for `strongest`, where it is listed in `pixelproof.attack.methods.METHODS`
    budget: int = 8192
    at_once: int = 512

    def plan(self, problem: Problem) -> Plan:
        """What `attack` asks of a method."""
        return Plan(
            fitness=problem.criterion.fitness,
            budget=self.budget,
            exhaustive=False,  # to withstand it proves nothing
            searches=lambda indices: (self._search(problem, index) for index in indices.tolist()),
        )

    def _search(self, problem: Problem, index: int) -> Search:
        random = np.random.default_rng([problem.seed, index])
        height, width = problem.size
        for start in range(0, self.budget, self.at_once):
            count = min(self.at_once, self.budget - start)
            positions = random.integers(0, height * width, (count, problem.pixels))
            yield Candidates(positions, random.integers(0, 256, (count, problem.pixels, 3), np.uint8))


def compare(bundle: Path, count: int) -> Iterator[tuple[str, int, float]]:
    """Of each search its name, how many of the first `count` right images fell to it, and its mean queries."""
    images = sample()
    with Pipeline(bundle, part="classifier") as classifier:
        right = np.flatnonzero(classifier(images.images).labels == images.labels)[:count]
        shown: NDArray[np.uint8] = images.images[right]
        for name, method in {"random": RandomSearch(), "corners": "corners", "de": "de"}.items():
            found = attack(classifier.predict, shown, images.labels[right], method=method)
            yield name, int(found.success.sum()), float(found.queries.mean())


if __name__ == "__main__":
    for name, fell, queries in compare(Path(sys.argv[1]), int(sys.argv[2])):
        print(f"{name}: {fell} fell, {queries:,.0f} queries an image")

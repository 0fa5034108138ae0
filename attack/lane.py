"""One image's search, from its first candidate to its end."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search import Candidates, Search


@dataclass
class Lane:
    """One image's search under way, or just ended."""

    index: int
    search: Search
    candidates: Candidates
    fitness: NDArray[np.float32] = field(init=False)
    cursor: int = 0
    """Where in the candidates it stands."""
    spent: int = 0
    """Candidates of earlier proposals."""
    evaluated: int = 0
    confirming: bool = False
    """The candidate at the cursor succeeded once and is being shown again."""
    probabilities: NDArray[np.float32] | None = None
    """`(classes,)`, of the candidate that was shown again and held."""
    succeeded: bool = False
    finished: bool = False

    def __post_init__(self) -> None:
        self.fitness = np.empty(len(self.candidates.positions), np.float32)

    @property
    def wanted(self) -> int:
        """Rows it could use in the next batch."""
        return 1 if self.confirming else len(self.fitness) - self.cursor

    @property
    def queries(self) -> int:
        """The rank of the winning candidate + 1, or all that were tried."""
        return self.spent + self.cursor + (1 if self.succeeded else 0)

    def advance(self, fitness: NDArray[np.float32], first_win: int) -> None:
        """Take in the rows just evaluated; `first_win` is the first success among them, or -1."""
        rows = len(fitness)
        self.fitness[self.cursor : self.cursor + rows] = fitness
        if self.confirming:
            self._confirm(first_win == 0)
        else:
            self.evaluated += rows
            self.confirming = first_win >= 0
            self.cursor += first_win if self.confirming else rows
        if not self.finished and self.cursor == len(self.fitness):
            self._propose()

    def _confirm(self, held: bool) -> None:
        """End with the success, or go on behind it where it did not hold when shown again."""
        self.confirming = False
        self.succeeded = self.finished = held
        self.cursor += 0 if held else 1

    def _propose(self) -> None:
        try:
            candidates = self.search.send(self.fitness)
        except StopIteration:
            self.finished = True
            return
        self.candidates, self.spent, self.cursor = candidates, self.spent + self.cursor, 0
        self.fitness = np.empty(len(candidates.positions), np.float32)

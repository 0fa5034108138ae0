"""One image's search, from its first candidate to its end."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.memory import Memory
from pixelproof.attack.search.protocol import Candidates, Search


@dataclass
class Lane:
    """One image's search under way, or just ended."""

    index: int
    search: Search
    memory: Memory | None = None
    """Of a search that may propose a candidate again."""
    candidates: Candidates = field(init=False)
    """Those of the proposal that are to be evaluated."""
    fitness: NDArray[np.float32] = field(init=False)
    """Theirs."""
    cursor: int = 0
    """Where in them it stands."""
    evaluated: int = 0
    confirming: bool = False
    """The candidate at the cursor succeeded once and is being shown again."""
    probabilities: NDArray[np.float32] | None = None
    """`(classes,)`, of the candidate that was shown again and held."""
    succeeded: bool = False
    finished: bool = False
    _ranks: NDArray[np.int64] = field(init=False)
    """Where in the proposal the candidates stand, and behind them its length."""
    _earlier: int = 0
    """Candidates of earlier proposals."""

    def __post_init__(self) -> None:
        self._take(next(self.search))

    @property
    def wanted(self) -> int:
        """Rows it could use in the next batch."""
        return 1 if self.confirming else len(self.fitness) - self.cursor

    @property
    def queries(self) -> int:
        """The rank of the winning candidate + 1, or all that were tried; a repeated one counts each time."""
        return self._earlier + int(self._ranks[self.cursor]) + (1 if self.succeeded else 0)

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
        while not self.finished and self.cursor == len(self.fitness):
            self._propose()

    def _confirm(self, held: bool) -> None:
        """End with the success, or go on behind it where it did not hold when shown again."""
        self.confirming = False
        self.succeeded = self.finished = held
        self.cursor += 0 if held else 1

    def _propose(self) -> None:
        found = self.fitness if self.memory is None else self.memory.recall(self._ranks[:-1], self.fitness)
        try:
            candidates = self.search.send(found)
        except StopIteration:
            self.finished = True
            return
        self._earlier += int(self._ranks[-1])
        self._take(candidates)

    def _take(self, proposed: Candidates) -> None:
        length = len(proposed.positions)
        if self.memory is None:
            self.candidates, self._ranks = proposed, np.arange(length + 1)
        else:
            unseen = self.memory.unseen(proposed)
            self.candidates = Candidates(proposed.positions[unseen], proposed.colors[unseen])
            self._ranks = np.append(unseen, length)
        self.fitness, self.cursor = np.empty(len(self.candidates.positions), np.float32), 0

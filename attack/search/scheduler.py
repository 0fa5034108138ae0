"""Runs many images' searches at once, their candidates side by side in one batch of fixed shape.

Images whose search has ended leave the batch and others take their place. The classifier always sees `batch_size` rows,
so that it computes a row alike whatever else is in the batch. Within an image the candidate that comes first wins. So
results depend neither on the batch size nor on the other images.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.candidates import Canvas
from pixelproof.attack.search.checks import checked_probabilities
from pixelproof.attack.search.protocol import Candidates, Fitness, Predictor, Problem, Search

MOST_IN_FLIGHT = 32
"""Searches at a time: so many that one which begins has few candidates in flight when it succeeds; more cost time."""


class FitnessCache:
    """The fitness of every candidate of one search, of one pixel each; `unseen` and `recall` take turns.

    As a population converges, more and more of its children equal candidates that came before: of one pixel most, of
    several next to none.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)  # of all that was seen, sorted
        self._fitness = np.empty(0, np.float32)  # of each of these
        self._asked = self._keys  # different keys of the candidates asked for last, sorted
        self._number = self._keys  # of each candidate asked for last: which of these it has
        self._place = self._keys  # of each of these: where it stands among all keys, or would
        self._known = np.empty(0, np.bool_)  # of each of these: whether it stands there

    def unseen(self, candidates: Candidates) -> NDArray[np.int64]:
        """Ranks, ascending, of the candidates not seen before, each once: where it comes first."""
        red, green, blue = candidates.colors[:, 0].astype(np.int64).T
        keys = candidates.positions[:, 0] << 24 | red << 16 | green << 8 | blue
        self._asked, first, self._number = np.unique(keys, return_index=True, return_inverse=True)
        self._place = np.searchsorted(self._keys, self._asked)
        self._known = np.zeros(len(self._asked), bool)
        within = self._place < len(self._keys)
        self._known[within] = self._keys[self._place[within]] == self._asked[within]
        return np.sort(first[~self._known])

    def recall(self, unseen: NDArray[np.int64], fitness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The fitness of all candidates asked for last, float32 `(m,)`; `fitness` is that of those at `unseen`."""
        of_asked = np.empty(len(self._asked), np.float32)
        of_asked[self._number[unseen]] = fitness
        of_asked[self._known] = self._fitness[self._place[self._known]]
        new = ~self._known
        self._keys = np.insert(self._keys, self._place[new], self._asked[new])
        self._fitness = np.insert(self._fitness, self._place[new], of_asked[new])
        return of_asked[self._number]


@dataclass
class InFlightSearch:
    """One image's search under way, or just ended."""

    index: int
    search: Search
    cache: FitnessCache | None = None
    """Of a search that may propose a candidate again."""
    candidates: Candidates = field(init=False)
    """Those of the proposal that are to be evaluated."""
    fitness: NDArray[np.float32] = field(init=False)
    """Theirs."""
    cursor: int = 0
    """The next of them to evaluate."""
    evaluated: int = 0
    confirming: bool = False
    """The candidate at the cursor succeeded once and is being shown again."""
    probabilities: NDArray[np.float32] | None = None
    """`(classes,)`, of the candidate whose success was confirmed."""
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
        if self.confirming:  # end with the success, or go on behind it
            self.confirming = False
            self.succeeded = self.finished = first_win == 0
            self.cursor += 0 if self.succeeded else 1
        else:
            self.evaluated += rows
            self.confirming = first_win >= 0
            self.cursor += first_win if self.confirming else rows
        while not self.finished and self.cursor == len(self.fitness):
            self._propose()

    def _propose(self) -> None:
        found = self.fitness if self.cache is None else self.cache.recall(self._ranks[:-1], self.fitness)
        try:
            candidates = self.search.send(found)
        except StopIteration:
            self.finished = True
            return
        self._earlier += int(self._ranks[-1])
        self._take(candidates)

    def _take(self, proposed: Candidates) -> None:
        length = len(proposed.positions)
        if self.cache is None:
            self.candidates, self._ranks = proposed, np.arange(length + 1)
        else:
            unseen = self.cache.unseen(proposed)
            self.candidates = Candidates(proposed.positions[unseen], proposed.colors[unseen])
            self._ranks = np.append(unseen, length)
        self.fitness, self.cursor = np.empty(len(self.candidates.positions), np.float32), 0


class Scheduler:
    """One classifier, one set of images, one batch.

    Args:
        predictor: the classifier; it must not keep or change the batch it is given.
        problem: what is attacked.
        batch_size: rows of every batch that it is shown.
    """

    def __init__(self, predictor: Predictor, problem: Problem, batch_size: int) -> None:
        self._predictor = predictor
        self._succeeded = problem.criterion.succeeded
        self._classes = problem.classes
        self._batch_size = batch_size
        self._images = problem.images
        self._canvas = Canvas(problem.images, batch_size)
        self.in_flight: list[InFlightSearch] = []
        """The searches under way."""
        self.evaluated = 0
        """Candidates evaluated so far, confirmations not counted."""

    def clean(self) -> NDArray[np.float32]:
        """The classifier's probabilities of the images as they are, float32 `(n, classes)`."""
        indices = np.arange(len(self._classes))
        parts = []
        for start in range(0, len(indices), self._batch_size):
            rows = indices[start : start + self._batch_size]
            unchanged = np.empty((len(rows), 0), np.int64), np.empty((len(rows), 0, 3), np.uint8)
            parts.append(self._show(rows, *unchanged).copy())  # predict may reuse what it gave
        return np.concatenate(parts)

    def run(
        self, searches: Iterable[tuple[int, Search]], fitness: Fitness, *, repeats: bool = False
    ) -> Iterator[list[InFlightSearch]]:
        """After each batch, the searches that it ended (mostly none).

        Args:
            searches: images' indices and their searches; each is taken when there is room for it.
            fitness: what they are sent of their candidates.
            repeats: they may propose a candidate again, which is then not evaluated again.
        """
        waiting = (InFlightSearch(index, search, FitnessCache() if repeats else None) for index, search in searches)
        self._fill(waiting)
        while self.in_flight:
            self._evaluate(self._allot(), fitness)
            ended = [each for each in self.in_flight if each.finished]
            self.in_flight = [each for each in self.in_flight if not each.finished]
            yield ended
            self._fill(waiting)

    def _fill(self, waiting: Iterator[InFlightSearch]) -> None:
        self.in_flight += islice(waiting, min(MOST_IN_FLIGHT, self._batch_size) - len(self.in_flight))

    def _allot(self) -> list[int]:
        """How many rows each search gets: half for the oldest, else equal shares; what one cannot use goes to others.

        So images that withstand a long search end one after the other, and a run that is broken off has kept most of
        what it did. Each search gets a row at least, which one that is being confirmed relies on.
        """
        wanted = [each.wanted for each in self.in_flight]
        first = min(wanted[0], (self._batch_size - len(wanted)) // 2)
        wanted[0] -= first
        shares = [0] * len(wanted)
        free = self._batch_size - first
        for done, number in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
            shares[number] = min(wanted[number], free // (len(wanted) - done))
            free -= shares[number]
        shares[0] += first
        return shares

    def _evaluate(self, shares: list[int], fitness: Fitness) -> None:
        given = list(zip(self.in_flight, shares, strict=True))
        spans = [(each.candidates, slice(each.cursor, each.cursor + share)) for each, share in given]
        image_of_row = np.repeat([each.index for each in self.in_flight], shares)
        probabilities = self._show(
            image_of_row,
            np.concatenate([candidates.positions[span] for candidates, span in spans]),
            np.concatenate([candidates.colors[span] for candidates, span in spans]),
        )
        classes = self._classes[image_of_row]
        fit = fitness(probabilities, classes)
        wins = self._succeeded(probabilities, classes).tobytes()
        self.evaluated += sum(share for each, share in given if not each.confirming)
        start = 0
        for each, share in given:
            first_win = wins.find(b"\1", start, start + share)
            each.advance(fit[start : start + share], first_win - start if first_win >= 0 else -1)
            if each.succeeded:
                each.probabilities = probabilities[start].copy()
            start += share

    def _show(
        self, image_of_row: NDArray[np.int64], positions: NDArray[np.int64], colors: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        if self._predictor.takes_changes:
            answer = self._predictor.predict_changes(self._images, image_of_row, positions, colors)
            return checked_probabilities(answer, len(image_of_row))
        batch = self._canvas.draw(image_of_row, positions, colors)
        probabilities = checked_probabilities(self._predictor.predict(batch), self._batch_size)[: len(image_of_row)]
        self._canvas.wipe()
        return probabilities

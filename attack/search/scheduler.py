"""Runs many images' searches at once, their candidates side by side in one batch of fixed shape.

Images that have fallen leave the batch and others take their place. The classifier always sees `batch_size` rows, so
that it computes a row alike whatever else is in the batch; within an image the candidate that comes first wins, so
that results depend neither on the batch size nor on the other images.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.canvas import Canvas
from pixelproof.attack.search.checks import checked_probabilities
from pixelproof.attack.search.in_flight import Lane
from pixelproof.attack.search.memory import Memory
from pixelproof.attack.search.protocol import Fitness, Predictor, Problem, Search

LANES = 32
"""Searches at a time: so many that one which begins has few candidates in flight when it succeeds; more cost time."""


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
        self.lanes: list[Lane] = []
        """The searches under way."""
        self.evaluated = 0
        """Candidates evaluated so far, second looks not counted."""

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
    ) -> Iterator[list[Lane]]:
        """After each batch, the searches that it ended (mostly none).

        Args:
            searches: images' indices and their searches; each is taken when there is room for it.
            fitness: what they are sent of their candidates.
            repeats: they may propose a candidate again, which is then not evaluated again.
        """
        waiting = (Lane(index, search, Memory() if repeats else None) for index, search in searches)
        self._fill(waiting)
        while self.lanes:
            self._evaluate(self._allot(), fitness)
            ended = [lane for lane in self.lanes if lane.finished]
            self.lanes = [lane for lane in self.lanes if not lane.finished]
            yield ended
            self._fill(waiting)

    def _fill(self, waiting: Iterator[Lane]) -> None:
        self.lanes += islice(waiting, min(LANES, self._batch_size) - len(self.lanes))

    def _allot(self) -> list[int]:
        """How many rows each lane gets: half for the oldest, else equal shares; what one cannot use goes to the others.

        So images that withstand a long search end one after the other, and a run that is broken off has kept most of
        what it did. Each lane gets a row at least, which one that is being confirmed relies on.
        """
        wanted = [lane.wanted for lane in self.lanes]
        first = min(wanted[0], (self._batch_size - len(wanted)) // 2)
        wanted[0] -= first
        shares = [0] * len(wanted)
        free = self._batch_size - first
        for done, lane in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
            shares[lane] = min(wanted[lane], free // (len(wanted) - done))
            free -= shares[lane]
        shares[0] += first
        return shares

    def _evaluate(self, shares: list[int], fitness: Fitness) -> None:
        spans = [
            (lane, slice(lane.cursor, lane.cursor + share)) for lane, share in zip(self.lanes, shares, strict=True)
        ]
        image_of_row = np.repeat([lane.index for lane in self.lanes], shares)
        probabilities = self._show(
            image_of_row,
            np.concatenate([lane.candidates.positions[span] for lane, span in spans]),
            np.concatenate([lane.candidates.colors[span] for lane, span in spans]),
        )
        classes = self._classes[image_of_row]
        fit = fitness(probabilities, classes)
        wins = self._succeeded(probabilities, classes).tobytes()
        self.evaluated += sum(share for lane, share in zip(self.lanes, shares, strict=True) if not lane.confirming)
        start = 0
        for lane, share in zip(self.lanes, shares, strict=True):
            first_win = wins.find(b"\1", start, start + share)
            lane.advance(fit[start : start + share], first_win - start if first_win >= 0 else -1)
            if lane.succeeded:
                lane.probabilities = probabilities[start].copy()
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

"""Asks a cheaper network first, and the real one only where that is not sure.

A network in lower precision is wrong by little, and most candidates of a search are far from any decision. Those that
it leaves with a wide margin are discarded on its word alone; every success is still the real network's own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import Remembered
from pixelproof.attack.search.batches import in_batches
from pixelproof.attack.search.canvas import Canvas
from pixelproof.attack.search.checks import check_callable, checked_number, checked_probabilities
from pixelproof.attack.search.protocol import Predict, Predictor, as_predictor
from pixelproof.errors import UsageError

_LEAST_PROBABILITY = 1e-12
_CLEAN_IMAGES = 256  # whose class is kept; more than a search has under way


class Screened(Predictor):
    """A `predict` whose searches a cheaper network screens; what it discards was not tried by the real one.

    A candidate is discarded where the cheap network's log-probability of the clean image's class exceeds any other's
    by `margin` or more. So a search that ran out has exhausted nothing, and its result does not claim so.

    Args:
        predict: the real network: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`.
        cheap: the same in lower precision; it always gets `batch_size` rows, or is told what changed where it is a
            `Predictor` that takes that.
        margin: in nats, above 0. Too small a one loses successes: it has to exceed what the cheap network is wrong by
            where it matters, which true successes tell.
        batch_size: rows of every batch that `cheap` is given.
        doubtful_size: rows of every batch that `predict` is given for what is in doubt; few, as seldom many are.

    Attributes:
        batch_size: as given.
        asked: candidates so far.
        discarded: how many of them the real network did not see.
    """

    is_exact = False
    takes_changes = True

    def __init__(
        self, predict: Predict, cheap: Predict, *, margin: float, batch_size: int = 256, doubtful_size: int = 8
    ) -> None:
        check_callable("predict", predict)
        check_callable("cheap", cheap)
        if not 0 < margin < np.inf:
            raise UsageError(f"margin has to be above 0, got {margin}. Next: margin=3.0, say")
        self._predict, self._cheap, self._margin = predict, as_predictor(cheap), margin
        self.batch_size: int = checked_number("batch_size", batch_size, 1, 1 << 20)
        self._doubtful_size = checked_number("doubtful_size", doubtful_size, 1, 1 << 20)
        self._classes: Remembered[int] = Remembered(_CLEAN_IMAGES)
        self.asked = self.discarded = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of `images`, uint8 `(n, H, W, 3)`, as `predict` gives them."""
        return self._predict(images)

    def predict_changes(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        """See `Predictor`; of discarded candidates, what the cheap network gave."""
        candidates = image_of_row, positions, colors
        if positions.shape[1] == 0:  # the images as they are
            return self._really(_drawn(images, *candidates))
        known, which = np.unique(image_of_row, return_inverse=True)
        classes = self._classes_of(images[known])[which]
        answer = self._cheaply(images, *candidates)
        doubtful = np.flatnonzero(~(margins(answer, classes) >= self._margin))  # NaN is a doubt
        if doubtful.size:
            answer[doubtful] = self._really(_drawn(images, *(part[doubtful] for part in candidates)))
        self.asked += len(answer)
        self.discarded += len(answer) - doubtful.size
        return answer

    def _classes_of(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        classes, _ = self._classes.of(images, lambda rows: self._really(images[rows]).argmax(1).tolist())
        return np.array(classes)

    def _cheaply(self, images: NDArray[np.uint8], *candidates: NDArray[Any]) -> NDArray[np.float32]:
        if self._cheap.takes_changes:
            answer = self._cheap.predict_changes(images, *candidates)
            return np.array(checked_probabilities(answer, len(candidates[0])), np.float32)
        return np.asarray(in_batches(self._told, _drawn(images, *candidates), self.batch_size), np.float32)

    def _told(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return checked_probabilities(self._cheap.predict(batch), len(batch))

    def _really(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return in_batches(
            lambda batch: checked_probabilities(self._predict(batch), len(batch)), images, self._doubtful_size
        )


def _drawn(images: NDArray[np.uint8], *candidates: NDArray[Any]) -> NDArray[np.uint8]:
    return Canvas(images, len(candidates[0])).draw(*candidates)


def margins(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """By how many nats each row's class leads any other, float32 `(n,)`; below 0 where another leads.

    Args:
        probabilities: `(n, classes)`.
        classes: `(n,)`.
    """
    logs = np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
    rows = np.arange(len(logs))
    own = logs[rows, classes]
    logs[rows, classes] = -np.inf
    lead: NDArray[np.float32] = own - logs.max(axis=1)
    return lead

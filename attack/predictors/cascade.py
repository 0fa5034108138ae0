"""A cascade: asks a cheaper network first, and the real one only where that is not sure.

A network in lower precision is wrong by little, and most candidates of a search are far from any decision. Those that
it leaves with a wide margin are rejected on its word alone; every success is still the real network's own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ImageCache
from pixelproof.attack.search.candidates import classified, drawn
from pixelproof.attack.search.checks import check_callable, checked_number, checked_probabilities
from pixelproof.attack.search.protocol import Predict, Predictor, as_predictor
from pixelproof.errors import UsageError

_LEAST_PROBABILITY = 1e-12
_CLEAN_IMAGES = 256  # whose class is kept; more than a search has under way


class Prefiltered(Predictor):
    """A `predict` for whose searches a cheaper network prefilters candidates; the real one never sees those rejected.

    A candidate is rejected where the cheap network's log-probability of the clean image's class exceeds any other's
    by `margin` or more. So a search that ran out has exhausted nothing, and its result does not claim so.

    Args:
        predict: the real network: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`.
        cheap: the same in lower precision; it always gets `batch_size` rows, or the changes alone where it is a
            `Predictor` that takes those.
        margin: the rejection threshold in nats, above 0. It has to exceed the cheap network's error on true successes,
            or these are lost.
        batch_size: rows of every batch that `cheap` is given.
        doubtful_size: rows of every batch that `predict` is given for what is in doubt; few, as seldom many are.

    Attributes:
        batch_size: as given.
        asked: candidates so far.
        discarded: how many of them were rejected.

    Raises:
        UsageError: a network cannot be called, or a number is out of its range.
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
        self._classes: ImageCache[int] = ImageCache(_CLEAN_IMAGES)
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
        """See `Predictor`; of rejected candidates, the cheap network's probabilities."""
        if positions.shape[1] == 0:  # the images as they are
            return self._really(drawn(images, image_of_row, positions, colors))
        known, which = np.unique(image_of_row, return_inverse=True)
        classes = self._classes_of(images[known])[which]
        answer = self._cheaply(images, image_of_row, positions, colors)
        doubtful = np.flatnonzero(~(margins(answer, classes) >= self._margin))  # NaN is a doubt
        if doubtful.size:
            shown = drawn(images, image_of_row[doubtful], positions[doubtful], colors[doubtful])
            answer[doubtful] = self._really(shown)
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
        return classified(self._cheap.predict, drawn(images, *candidates), self.batch_size)

    def _really(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return classified(self._predict, images, self._doubtful_size)


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

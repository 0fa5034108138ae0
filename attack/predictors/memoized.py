"""Classifies each different purified image once.

Many candidates of a search purify to the very same image: a gate puts the same value in place of a pixel, whatever
color it was given. Where a purifier yields whole numbers, 0 to 255, the classifier sees exactly its uint8 output. So
it need not see that output twice.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ImageCache
from pixelproof.attack.predictors.windows.windowed import Windowed
from pixelproof.attack.search.candidates import classified
from pixelproof.attack.search.checks import checked_images, checked_number
from pixelproof.attack.search.protocol import Predict, Predictor
from pixelproof.errors import UsageError

Near = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]
"""Images and, for each, one that it differs from in a small box, uint8 `(n, H, W, 3)` both, to probabilities."""

_MOST_BYTES = 8192 * 32 * 32 * 3
"""Of images that are cached: as many of 32x32 as are by default, 24 MiB."""


class Memoized(Predictor):
    """A `predict` for a purifier and a classifier: exactly `classify(purify(images))`, with fewer rows classified.

    The classifier always sees batches of the same shape, so that it computes a row alike whatever else is in the batch.
    Images are compared by all their bytes.

    Args:
        purify: uint8 `(n, H, W, 3)` to uint8 `(n, H, W, 3)`.
        classify: uint8 `(batch_size, H, W, 3)` to float32 probabilities `(batch_size, classes)`; a function of
            purify's uint8 output alone (true of `median` and `gated`, not of `autoencoder`).
        purify_changes: purifies candidates without drawing them; where given, `predict_changes` uses it.
        classify_near: `classify` for any number of purified images, each with the purified clean image that it is
            near to; where given, `predict_changes` uses it.
        batch_size: rows that `classify` is given; small beside the search's, since few images of a batch are new.
        remembered: purified images whose probabilities are cached, the least recently used leaving first; fewer of
            large images, which `_MOST_BYTES` hold.

    Attributes:
        takes_changes: False without `purify_changes`.
        asked: images that the search asked for.
        classified: images that the classifier was asked for, fillers not counted.

    Raises:
        UsageError: a number is out of its range.
    """

    def __init__(
        self,
        purify: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        classify: Predict,
        *,
        purify_changes: Windowed | None = None,
        classify_near: Near | None = None,
        batch_size: int = 64,
        remembered: int = 8192,
    ) -> None:
        self._purify, self._classify = purify, classify
        self._batch_size = checked_number("batch_size", batch_size, 1, 1 << 20)
        self.takes_changes = purify_changes is not None
        self._purify_changes, self._classify_near = purify_changes, classify_near
        count = checked_number("remembered", remembered, 0, 1 << 24)
        self._cache: ImageCache[NDArray[np.float32]] = ImageCache(count, _MOST_BYTES)
        self.asked = self.classified = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of the purified `images`, uint8 `(n, H, W, 3)`: float32 `(n, classes)`."""
        purified = self._purify(checked_images(images))
        if purified.dtype != np.uint8 or purified.shape != images.shape:
            raise UsageError(
                f"purify gave {purified.dtype} of shape {purified.shape}, expected uint8 of shape {images.shape}. "
                "Next: round it to whole numbers, or classify without Memoized"
            )
        return self._looked_up(purified, lambda rows: classified(self._classify, purified[rows], self._batch_size))

    def predict_changes(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        """See `Predictor`."""
        assert self._purify_changes is not None
        by_window, near = self._purify_changes, self._classify_near
        purified = by_window(images, image_of_row, positions, colors)

        def compute(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            if near is None:
                return classified(self._classify, purified[rows], self._batch_size)
            return near(purified[rows], by_window.clean(images[image_of_row[rows]]))

        return self._looked_up(purified, compute)

    def _looked_up(
        self, purified: NDArray[np.uint8], compute: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        answers, new = self._cache.of(purified, compute)
        self.asked += len(answers)
        self.classified += new
        return np.stack(answers)

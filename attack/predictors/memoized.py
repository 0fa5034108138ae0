"""Classifies each distinct purified image once.

Many candidates of a search purify to the very same image: a gate puts the same value in place of a pixel, whatever
color it was given. Where a purifier yields whole levels, so that the classifier sees exactly its uint8 output, the
classifier need not see that output twice.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import Remembered
from pixelproof.attack.predictors.windows.windowed import Windowed
from pixelproof.attack.search.checks import checked_images, checked_number, checked_probabilities
from pixelproof.attack.search.protocol import Predict, Predictor
from pixelproof.errors import UsageError

Near = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]
"""Images and, for each, one that it differs from in a small box, uint8 `(n, H, W, 3)` both, to probabilities."""


_MOST_BYTES = 8192 * 32 * 32 * 3
"""Of images that are remembered: as many of 32x32 as are by default, 24 MiB."""


class Distinct(Predictor):
    """A `predict` for a purifier and a classifier: exactly `classify(purify(images))`, with fewer rows classified.

    The classifier always sees batches of the same shape, the last of a call filled up with what was there before, so
    that it computes a row alike whatever else is in the batch. Images are told apart by all their bytes.

    Args:
        purify: uint8 `(n, H, W, 3)` to uint8 `(n, H, W, 3)`.
        classify: uint8 `(batch_size, H, W, 3)` to float32 probabilities `(batch_size, classes)`; a function of
            purify's uint8 output alone (true of `median` and `gated`, not of `autoencoder`).
        purify_changes: purifies candidates without drawing them; where given, `predict_changes` uses it.
        classify_near: `classify` for any number of purified images, each told with the purified clean image that it
            is near to; where given, `predict_changes` uses it.
        batch_size: rows that `classify` is given; small beside the search's, since few images of a batch are new.
        remembered: purified images whose probabilities are kept, those not met for longest leaving first; fewer of
            large images, which `_MOST_BYTES` hold.

    Attributes:
        takes_changes: False without `purify_changes`.
        asked: images that the search asked for.
        classified: images that the classifier was asked for, fillers not counted.
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
        self._remembered: Remembered[NDArray[np.float32]] = Remembered(count, _MOST_BYTES)
        self._batch = np.empty((0, 0, 0, 3), np.uint8)
        self.asked = self.classified = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of `images`, uint8 `(n, H, W, 3)`, once purified: float32 `(n, classes)`."""
        purified = self._purify(checked_images(images))
        if purified.dtype != np.uint8 or purified.shape != images.shape:
            raise UsageError(
                f"purify gave {purified.dtype} of shape {purified.shape}, expected uint8 of shape {images.shape}. "
                "Next: round it to whole levels, or classify without Distinct"
            )
        return self._told(purified, lambda rows: self._classified(purified, rows))

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
        if near is None:
            return self._told(purified, lambda rows: self._classified(purified, rows))
        return self._told(purified, lambda rows: near(purified[rows], by_window.clean(images[image_of_row[rows]])))

    def _told(
        self, purified: NDArray[np.uint8], classified: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        answers, new = self._remembered.of(purified, classified)
        self.asked += len(answers)
        self.classified += new
        return np.stack(answers)

    def _classified(self, purified: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if self._batch.shape[1:] != purified.shape[1:]:
            self._batch = np.zeros((self._batch_size, *purified.shape[1:]), np.uint8)
        parts = []
        for start in range(0, len(rows), self._batch_size):
            part = rows[start : start + self._batch_size]
            self._batch[: len(part)] = purified[part]
            answer = checked_probabilities(self._classify(self._batch), self._batch_size)
            parts.append(answer[: len(part)].copy())
        return np.concatenate(parts)

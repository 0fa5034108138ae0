"""Purifies candidates by the window that a changed pixel can reach, the rest taken from the clean image's answer."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ImageCache
from pixelproof.attack.search.candidates import drawn, flat_pixels, in_batches
from pixelproof.attack.search.checks import check_callable, checked_number

Purify = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 `(n, H, W, 3)` to uint8 of the same shape."""

_CLEAN_IMAGES = 256  # kept purified; more than a search has under way


class Windowed:
    """Exactly `purify(images with one pixel changed)`, for a purifier whose outputs depend on near inputs alone.

    A changed pixel moves outputs up to `reach` away, and these depend on inputs up to twice as far. So a window of
    `side` pixels around it holds all that matters. A window at the image's border has its own edge there, as the whole
    image has; its other edges are wrong up to `reach` deep, where nothing is taken from.

    Args:
        purify: the purifier.
        purify_window: the same purifier for images of `side` x `side`.
        reach: how far, in rows and columns, an input moves outputs; at least 0.
        batch_size: rows of every batch that either is given.
    """

    def __init__(self, purify: Purify, purify_window: Purify, reach: int, *, batch_size: int = 256) -> None:
        check_callable("purify", purify)
        check_callable("purify_window", purify_window)
        self._purify, self._purify_window = purify, purify_window
        self._reach = checked_number("reach", reach, 0, 1 << 12)
        self._batch_size = checked_number("batch_size", batch_size, 1, 1 << 20)
        self._purified: ImageCache[NDArray[np.uint8]] = ImageCache(_CLEAN_IMAGES)
        self.side = side_for(self._reach)

    def __call__(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """The purified candidates, uint8 `(m, H, W, 3)`.

        Args:
            images: uint8 `(n, H, W, 3)`, C-contiguous.
            image_of_row: int64 `(m,)`, the image each candidate changes.
            positions: int64 `(m, k)`, row * W + column of each pixel.
            colors: uint8 `(m, k, 3)`.
        """
        if positions.shape[1] != 1 or min(images.shape[1:3]) < self.side:
            return in_batches(self._purify, drawn(images, image_of_row, positions, colors), self._batch_size)
        which, place = np.unique(image_of_row, return_inverse=True)
        purified = self.clean(images[which])[place]
        self._patch(purified, images, image_of_row, positions[:, 0], colors[:, 0])
        return purified

    def clean(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The purified `images` as they are, uint8 `(n, H, W, 3)`; kept for a while."""
        purified, _ = self._purified.of(images, lambda rows: in_batches(self._purify, images[rows], self._batch_size))
        return np.stack(purified)

    def _patch(
        self,
        purified: NDArray[np.uint8],
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> None:
        """Put into `purified` what the changed pixels move."""
        height, width = images.shape[1:3]
        row, column = np.divmod(positions, width)
        top, left = (
            np.clip(at - 2 * self._reach, 0, length - self.side) for at, length in ((row, height), (column, width))
        )
        side = np.arange(self.side)
        rows, columns = top[:, None] + side, left[:, None] + side
        places = image_of_row[:, None, None] * (height * width) + rows[:, :, None] * width + columns[:, None]
        windows = flat_pixels(images)[places]
        candidate = np.arange(len(positions))
        windows[candidate, row - top, column - left] = flat_pixels(colors)
        shown = windows.view(np.uint8).reshape(len(positions), self.side, self.side, 3)
        cleaned = flat_pixels(in_batches(self._purify_window, shown, self._batch_size)).reshape(windows.shape)
        near = np.arange(-self._reach, self._reach + 1)
        rows, columns = (  # beyond the border the last row or column stands in, written again as it is
            np.clip(at[:, None] + near, 0, length - 1) for at, length in ((row, height), (column, width))
        )
        moved = cleaned[candidate[:, None, None], (rows - top[:, None])[:, :, None], (columns - left[:, None])[:, None]]
        whole = flat_pixels(purified).reshape(len(positions), height, width)
        whole[candidate[:, None, None], rows[:, :, None], columns[:, None]] = moved


def side_for(reach: int) -> int:
    """Rows and columns of the window that holds all that matters around a changed pixel."""
    return 4 * reach + 1

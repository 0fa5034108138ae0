"""Candidates of a grid by their numbers, and the one batch on which a search draws them.

**Numbering.** With C colors a position, candidate (row * W + column) * C + c sets pixel (row, column) to the table's
color c. With L evenly spaced values a channel, C is L^3 and c is (r * L + g) * L + b; value 0 of a channel is the low
end of its box and L - 1 the high end. So with L = 2 a candidate is position * 8 + corner. The corner's bits, from the
highest, are red, green and blue: 0 low, 1 high.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.checks import checked_box, checked_probabilities, checked_table
from pixelproof.attack.search.protocol import Candidates, Predict

ColorTable = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Indices of m images to the colors that each position is to be tried with, uint8 `(m, H, W, C, 3)`."""


def box_table(low: Any, high: Any, levels: int, shape: tuple[int, ...]) -> ColorTable:  # noqa: ANN401  (checked here)
    """`levels`^3 evenly spaced colors of a box, both ends included.

    `low` and `high` are integers, or integer arrays that broadcast to `shape`, `(n, H, W, 3)`.
    """
    lows, highs = checked_box(low, high, shape)
    steps = levels - 1
    level = np.arange(levels, dtype=np.int32)[:, None]
    level_of_color = np.indices((levels, levels, levels)).reshape(3, -1)

    def table(indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        low, high = (ends[indices][:, :, :, None].astype(np.int32) for ends in (lows, highs))
        values = (low + ((high - low) * level * 2 + steps) // (2 * steps)).astype(np.uint8)
        return np.stack([values[..., level_of_color[channel], channel] for channel in range(3)], axis=-1)

    return table


def listed_table(
    colors: NDArray[np.uint8] | Callable[[NDArray[np.uint8]], NDArray[np.uint8]], images: NDArray[np.uint8]
) -> ColorTable:
    """Listed colors: an array `(n, H, W, C, 3)`, or a function of images that returns one."""
    if callable(colors):
        return lambda indices: checked_table(colors(images[indices]), (len(indices), *images.shape[1:3]))
    listed = checked_table(colors, images.shape[:3])
    return lambda indices: listed[indices]


def decode(colors: NDArray[np.uint8], candidates: NDArray[np.int32]) -> Candidates:
    """The positions and colors of an image's numbered candidates.

    Args:
        colors: uint8 `(H, W, C, 3)`.
        candidates: int32 `(m, k)`, a number a pixel.
    """
    position = candidates // colors.shape[2]
    return Candidates(position.astype(np.int64), colors.reshape(-1, 3)[candidates])


class Canvas:
    """A reused batch of fixed shape whose rows hold images with a few pixels changed.

    A row's image is copied only when the row takes another image; otherwise only the changed pixels are restored.

    Args:
        images: uint8 `(n, H, W, 3)`, C-contiguous; must not change while the canvas is in use.
        batch_size: rows of the batch.
    """

    def __init__(self, images: NDArray[np.uint8], batch_size: int) -> None:
        _, height, width, _ = images.shape
        self.batch = np.zeros((batch_size, height, width, 3), np.uint8)
        self._images = images
        self._image_pixels = flat_pixels(images)
        self._batch_pixels = flat_pixels(self.batch)
        self._area = height * width
        self._row_starts = np.arange(batch_size)[:, None] * self._area
        self._held = np.full(batch_size, -1)

    def draw(
        self, image_of_row: NDArray[np.int64], positions: NDArray[np.int64], colors: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """The whole batch, its first m rows showing m candidates; later rows hold whatever they held.

        Args:
            image_of_row: int64 `(m,)`, the image each candidate changes.
            positions: int64 `(m, k)`, row * W + column of each pixel; of equal ones the last is seen.
            colors: uint8 `(m, k, 3)`.
        """
        rows = len(image_of_row)
        self._place(image_of_row)
        self._drawn = positions + self._row_starts[:rows]
        self._covered = positions + image_of_row[:, None] * self._area
        paint = flat_pixels(colors).reshape(positions.shape)
        for pixel in range(positions.shape[1]):
            self._batch_pixels[self._drawn[:, pixel]] = paint[:, pixel]
        return self.batch

    def wipe(self) -> None:
        """Restore the pixels of the last drawing."""
        self._batch_pixels[self._drawn] = self._image_pixels[self._covered]

    def _place(self, image_of_row: NDArray[np.int64]) -> None:
        rows = len(image_of_row)
        stale = np.flatnonzero(self._held[:rows] != image_of_row)
        if 2 * stale.size > rows:  # one copy of all is cheaper than gathering and scattering many
            np.take(self._images, image_of_row, axis=0, out=self.batch[:rows], mode="clip")
        elif stale.size:
            self.batch[stale] = self._images[image_of_row[stale]]
        self._held[:rows] = image_of_row


def drawn(
    images: NDArray[np.uint8],
    image_of_row: NDArray[np.int64],
    positions: NDArray[np.int64],
    colors: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """All candidates drawn, uint8 `(m, H, W, 3)`; the arguments are those of `Predictor.predict_changes`."""
    return Canvas(images, len(image_of_row)).draw(image_of_row, positions, colors)


def flat_pixels(images: NDArray[np.uint8]) -> NDArray[np.void]:
    """A flat view of one 3-byte item a pixel: NumPy moves it at twice the speed of three bytes."""
    return np.ascontiguousarray(images).reshape(-1).view("V3")


def in_batches(
    call: Callable[[NDArray[np.uint8]], NDArray[Any]], images: NDArray[np.uint8], batch_size: int
) -> NDArray[Any]:
    """`call(images)` in batches of one shape, so that a row is computed alike whatever else is in its batch.

    Args:
        call: uint8 `(batch_size, H, W, 3)` to an array of as many rows, which it may reuse.
        images: uint8 `(n, H, W, 3)`, n above 0.
        batch_size: rows of every batch; fillers complete the last one.
    """
    batch = np.zeros((batch_size, *images.shape[1:]), np.uint8)
    parts = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        batch[: len(part)] = part
        parts.append(call(batch)[: len(part)].copy())
    return np.concatenate(parts)


def classified(predict: Predict, images: NDArray[np.uint8], batch_size: int) -> NDArray[np.float32]:
    """The checked probabilities of n images, float32 `(n, classes)`, asked for as `in_batches` does."""
    return in_batches(lambda batch: checked_probabilities(predict(batch), len(batch)), images, batch_size)

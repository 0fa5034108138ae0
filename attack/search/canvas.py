"""The one batch that a search shows its classifier: candidates are drawn on it and wiped off again."""

import numpy as np
from numpy.typing import NDArray


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


def flat_pixels(images: NDArray[np.uint8]) -> NDArray[np.void]:
    """A flat view of one 3-byte item a pixel: NumPy moves it at twice the speed of three bytes."""
    return np.ascontiguousarray(images).reshape(-1).view("V3")

"""Ranks candidates by a coarse query pass: every few positions, at two opposite colors."""

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.methods.orders import rank
from pixelproof.attack.search.canvas import Canvas
from pixelproof.attack.search.checks import checked_number, checked_probabilities
from pixelproof.attack.search.criteria import criterion_for
from pixelproof.attack.search.protocol import Predict


class SweepOrder:
    """The order that `sweep_order` makes; `asked` counts the queries it has made so far."""

    def __init__(self, predict: Predict, stride: int, batch_size: int) -> None:
        self._predict = predict
        self._stride = checked_number("stride", stride, 1, 1 << 16)
        self._batch_size = checked_number("batch_size", batch_size, 1, 1 << 20)
        self.asked = 0

    def queries_per_image(self, height: int, width: int) -> int:
        """What the ranking of one image costs: two queries a probed position."""
        return 2 * len(self._probed(height)) * len(self._probed(width))

    def __call__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        colors: NDArray[np.uint8],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.int32]:
        """The ranking, int32 `(n, candidates)`; see `Order` for the arguments.

        A position takes the shares of the nearest probed one; a color's lies between those of the first and the last
        color, in proportion to its place between them.
        """
        count, height, width, _, _ = colors.shape
        shares = self._probe(images, colors, labels if targets is None else targets, targets)
        near_row, near_column = self._nearest(height), self._nearest(width)
        first, last = np.moveaxis(shares[:, near_row[:, None], near_column], -1, 0)[..., None]
        return rank((first + (last - first) * _place(colors)).reshape(count, -1))

    def _probed(self, length: int) -> NDArray[np.int64]:
        """The rows or columns that are probed: the middle of each stretch of `stride`."""
        middle = min(self._stride, length) // 2
        return np.arange(middle, length, self._stride)

    def _nearest(self, length: int) -> NDArray[np.int64]:
        """For each row or column, which of the probed ones is nearest."""
        nearest: NDArray[np.int64] = np.abs(np.arange(length)[:, None] - self._probed(length)).argmin(axis=1)
        return nearest

    def _probe(
        self,
        images: NDArray[np.uint8],
        colors: NDArray[np.uint8],
        classes: NDArray[np.int64],
        targets: NDArray[np.int64] | None,
    ) -> NDArray[np.float32]:
        """The shares at the probed positions, first and last color: float32 `(n, rows, columns, 2)`."""
        count, height, width, _, _ = colors.shape
        rows, columns = self._probed(height), self._probed(width)
        ends = colors[:, rows[:, None], columns][:, :, :, [0, -1]].reshape(-1, 1, 3)
        positions = np.tile(np.repeat((rows[:, None] * width + columns).reshape(-1), 2), count)[:, None]
        image_of_row = np.repeat(np.arange(count), len(positions) // count)
        probabilities = self._probabilities(images, image_of_row, positions, ends)
        shares = criterion_for(targets).share(probabilities, classes[image_of_row])
        return shares.reshape(count, len(rows), len(columns), 2)

    def _probabilities(
        self,
        images: NDArray[np.uint8],
        image_of_row: NDArray[np.int64],
        positions: NDArray[np.int64],
        colors: NDArray[np.uint8],
    ) -> NDArray[np.float32]:
        canvas = Canvas(images, self._batch_size)
        parts = []
        for start in range(0, len(image_of_row), self._batch_size):
            part = slice(start, start + self._batch_size)
            batch = canvas.draw(image_of_row[part], positions[part], colors[part])
            answer = checked_probabilities(self._predict(batch), self._batch_size)
            parts.append(answer[: len(image_of_row[part])].copy())
            canvas.wipe()
        self.asked += len(image_of_row)
        return np.concatenate(parts)


def _place(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each color of `(n, H, W, C, 3)` lies between the first, 0, and the last, 1: float32 `(n, H, W, C)`."""
    offset = colors.astype(np.float32) - colors[..., :1, :]
    line = offset[..., -1:, :]
    length = np.maximum((line * line).sum(axis=-1), 1)
    place: NDArray[np.float32] = (offset * line).sum(axis=-1) / length
    return place


def sweep_order(predict: Predict, *, stride: int = 4, batch_size: int = 512) -> SweepOrder:
    """An order for classifiers that give no gradient: it asks them.

    Every `stride`-th position of every `stride`-th row is set to the first and the last of its colors (of a box, the
    darkest and the brightest). These queries come on top of those that the search counts: add
    `queries_per_image(H, W)` for every attacked image (128 for 32x32 and the default stride), or read `asked`.

    Args:
        predict: as for `attack`, the same classifier.
        stride: 1 probes every position; larger is cheaper and coarser.
        batch_size: rows of every batch; the search's own, for a classifier that depends on it.
    """
    return SweepOrder(predict, stride, batch_size)

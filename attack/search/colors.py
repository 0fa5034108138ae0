"""The candidate set of `corners` and `levels`: every position x the colors that a table lists for it.

**Numbering.** With C colors a position, candidate (row * W + column) * C + c sets pixel (row, column) to the table's
color c. With L evenly spaced levels of a box, C is L^3 and c is (r * L + g) * L + b, level 0 of a channel being its
low end and L - 1 its high end. So with L = 2 a candidate is position * 8 + corner, and the corner's bits, from the
highest, are red, green and blue: 0 low, 1 high.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.checks import checked_box, checked_table
from pixelproof.attack.search.protocol import Candidates

ColorTable = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Indices of m images to the colors that each position is to be tried with, uint8 `(m, H, W, C, 3)`."""


def box_table(low: Any, high: Any, levels: int, shape: tuple[int, ...]) -> ColorTable:  # noqa: ANN401  (checked here)
    """`levels`^3 colors, both ends included, of a box given as integers or arrays that broadcast to `shape`,
    `(n, H, W, 3)`.
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
    """Colors given outright, as an array `(n, H, W, C, 3)` or as a function of the images that gives one."""
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

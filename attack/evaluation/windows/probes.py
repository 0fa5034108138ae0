"""Real images with one pixel changed, to compare two ways of computing the same on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelproof.models.data import sample


class Probes(NamedTuple):
    """m candidates, as searches describe them and drawn."""

    images: NDArray[np.uint8]
    """The images that are changed, uint8 `(n, H, W, 3)`."""
    which: NDArray[np.int64]
    """`(m,)`, the image that each changes."""
    positions: NDArray[np.int64]
    """`(m, 1)`, row * W + column."""
    colors: NDArray[np.uint8]
    """`(m, 1, 3)`: corners of the color cube, and other colors in every second one."""
    drawn: NDArray[np.uint8]
    """`(m, H, W, 3)`."""


def probes(count: int, images: int) -> Probes:
    """`count` changed pixels all over the first `images` shipped images; the same ones each time."""
    clean, random = sample().images[:images], np.random.default_rng(0)
    which = np.sort(random.integers(0, len(clean), count))
    positions = random.integers(0, clean[0, ..., 0].size, (count, 1))
    colors = random.integers(0, 256, (count, 1, 3), np.uint8)
    colors[::2] = (colors[::2] > 127) * 255
    drawn = clean[which]
    drawn.reshape(count, -1, 3)[np.arange(count), positions[:, 0]] = colors[:, 0]
    return Probes(clean, which, positions, colors, drawn)

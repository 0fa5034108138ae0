"""Clean images' maps are computed once while they are kept."""

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ActivationCache, Maps

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)


class Counting:
    """Gives each image's values as its map, and notes how many it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, images: NDArray[np.uint8]) -> Maps:
        self.asked += len(images)
        return {"values": images.transpose(0, 3, 1, 2).astype(np.float32)}


def test_each_image_is_computed_once():
    clean = Counting()
    maps = ActivationCache(clean, 3)
    for rows in ([0, 1, 0, 2], [2, 0], [1, 1]):
        slots = maps.slots(IMAGES[rows])
        np.testing.assert_array_equal(maps.arrays["values"][slots], IMAGES[rows].transpose(0, 3, 1, 2))
    assert clean.asked == 3
    assert maps.lengths() == {"values": (4, 5)}


def test_what_was_not_asked_for_longest_leaves():
    clean = Counting()
    maps = ActivationCache(clean, 2)
    for rows in ([0], [1], [0], [2], [0]):
        maps.slots(IMAGES[rows])
    assert clean.asked == 3
    maps.slots(IMAGES[[1]])
    assert clean.asked == 4


def test_windows_reach_into_the_padding():
    maps = ActivationCache(Counting(), 2, {"values": 2})
    slots = maps.slots(IMAGES[[3, 4]])
    found = maps.windows("values", slots, np.array([-2, 1]), np.array([-1, 4]), (4, 3))
    padded = np.pad(IMAGES[[3, 4]].transpose(0, 3, 1, 2), ((0, 0), (0, 0), (2, 2), (2, 2)))
    np.testing.assert_array_equal(found[0], padded[0, :, 0:4, 1:4])
    np.testing.assert_array_equal(found[1], padded[1, :, 3:7, 6:9])

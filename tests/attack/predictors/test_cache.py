"""What was computed of an image is not computed again while it is remembered."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack.predictors.cache import ActivationCache, ImageCache, Maps

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)


class Sums:
    """Sums of images, and which of them were really added up."""

    def __init__(self, remembered: ImageCache[int]) -> None:
        self.remembered, self.computed = remembered, []

    def __call__(self, images: np.ndarray) -> list[int]:
        def compute(rows: np.ndarray) -> list[int]:
            sums = images[rows].sum(axis=(1, 2, 3)).tolist()
            self.computed.append(sums)
            return sums

        sums, new = self.remembered.of(images, compute)
        assert sums == images.sum(axis=(1, 2, 3)).tolist()
        assert new == (len(self.computed.pop()) if self.computed else 0)
        return new


@pytest.fixture
def images(make_images) -> np.ndarray:
    return make_images(6, 2, 6)


def test_alike_ones_are_computed_once_within_a_call_and_after_it(images: np.ndarray):
    new_of = Sums(ImageCache(6))
    assert new_of(images[[0, 1, 0, 1, 1]]) == 2
    assert new_of(images[[1, 2, 0, 2]]) == 1
    assert new_of(images[[2, 1, 0]]) == 0


@pytest.mark.parametrize(("count", "nbytes"), [(2, None), (9, 2 * 36), (9, 3 * 36 - 1), (2, 1000)])
def test_those_not_met_for_longest_are_forgotten_first(images: np.ndarray, count: int, nbytes: int | None):
    new_of = Sums(ImageCache(count, nbytes))
    asked = [(0, 1), (1, 1), (0, 0), (2, 1), (0, 0), (1, 1), (0, 0), (2, 1)]
    assert [(row, new_of(images[[row]])) for row, _ in asked] == asked


def test_more_than_are_remembered_are_answered_all_the_same(images: np.ndarray):
    new_of = Sums(ImageCache(2))
    assert new_of(images) == 6
    assert new_of(images) == 4
    assert Sums(ImageCache(0))(images) == 6


def test_the_same_bytes_in_another_shape_are_another_image(images: np.ndarray):
    new_of = Sums(ImageCache(6))
    for shape in ((2, 6), (6, 2), (2, 6)):
        assert new_of(images.reshape(6, *shape, 3)) == 6


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

"""What was computed of an image is not computed again while it is remembered."""

import numpy as np
import pytest

from pixelproof.attack.predictors.cache import ImageCache


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

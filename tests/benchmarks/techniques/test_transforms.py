"""The input transformations: shapes and dtypes are kept, and each does to real images what its name says."""

import numpy as np
import pytest
from scipy import ndimage

from pixelproof.benchmarks.techniques import TRANSFORMS
from pixelproof.models.data import sample


def by_name(start: str, images: np.ndarray) -> np.ndarray:
    return next(transform for name, transform in TRANSFORMS.items() if name.startswith(start))(images)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return sample().images[:6]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_images_come_back_of_the_same_kind_and_each_on_its_own(name: str, images: np.ndarray):
    transform, before = TRANSFORMS[name], images.copy()
    changed = transform(images)
    assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(transform(images[2:3]), changed[2:3])
    difference = np.abs(changed.astype(int) - images)
    assert 0 < difference.mean() < 20


def test_the_median_is_scipys(images: np.ndarray):
    expected = ndimage.median_filter(images, (1, 3, 3, 1))
    np.testing.assert_array_equal(by_name("median", images)[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])


def test_bit_depth_leaves_sixteen_levels(images: np.ndarray):
    assert len(np.unique(by_name("bit depth", images))) <= 16


@pytest.mark.parametrize("name", ["Gaussian", "total", "JPEG"])
def test_smoothing_leaves_less_of_a_glaring_pixel(name: str, images: np.ndarray):
    attacked = images.copy()
    attacked[:, 16, 16] = np.where(images[:, 16, 16] < 128, 255, 0)
    before = np.abs(attacked[:, 16, 16].astype(int) - images[:, 16, 16]).mean()
    left = np.abs(by_name(name, attacked)[:, 16, 16].astype(int) - images[:, 16, 16]).mean()
    assert left < 0.9 * before

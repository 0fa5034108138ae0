"""Which arrays are images, and what the others are told."""

import re

import numpy as np
import pytest

from pixelproof.errors import UsageError
from pixelproof.runtime.images import check_images

UNFIT = {
    "a list": ([[0]], "got list.*numpy.asarray"),
    "floats": (np.zeros((2, 4, 6, 3), np.float32), r"uint8 .*got float32 \(2, 4, 6, 3\).*round\(\).astype"),
    "signed": (np.zeros((2, 4, 6, 3), np.int64), "got int64"),
    "one image": (np.zeros((4, 6, 3), np.uint8), r"single image. Next: pass images\[None\]"),
    "one image of another size": (np.zeros((5, 5, 3), np.uint8), r"single image. Next: pass images\[None\]"),
    "channels first": (np.zeros((2, 3, 4, 6), np.uint8), r"got .*\(2, 3, 4, 6\).*transpose\(0, 2, 3, 1\)"),
    "three dimensions": (np.zeros((2, 5, 5), np.uint8), r"got uint8 \(2, 5, 5\)\. Next: pass RGB images"),
    "two dimensions": (np.zeros((5, 5), np.uint8), r"got uint8 \(5, 5\)\. Next: pass RGB images"),
    "no dimension": (np.zeros((), np.uint8), r"got uint8 \(\)\. Next: pass RGB images"),
    "another size": (np.zeros((2, 6, 4, 3), np.uint8), r"\(n, 4, 6, 3\), got uint8 \(2, 6, 4, 3\).*resize .* 4x6"),
    "empty": (np.zeros((0, 4, 6, 3), np.uint8), "empty batch"),
}


@pytest.mark.parametrize(("images", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_says_what_was_expected_what_came_and_what_to_pass(images, message):
    with pytest.raises(UsageError, match=message) as caught:
        check_images(images, (4, 6))
    assert "expected uint8 images of shape (n, 4, 6, 3)" in str(caught.value)
    assert "Next: " in str(caught.value)


GRAY = np.arange(7 * 4 * 6, dtype=np.uint8).reshape(7, 4, 6)
RGB = np.arange(7 * 4 * 6 * 3, dtype=np.uint8).reshape(7, 4, 6, 3)
ALPHA = np.concatenate([RGB, np.full_like(RGB[..., :1], 9)], axis=3)
MENDABLE = {
    "one image": (RGB[0], RGB[:1]),
    "a list": (RGB.tolist(), RGB),
    "whole numbers of another kind": (RGB.astype(np.int64), RGB),
    "channels first": (RGB.transpose(0, 3, 1, 2), RGB),
    "alpha": (ALPHA, RGB),
    "one image with alpha": (ALPHA[0], RGB[:1]),
    "gray": (GRAY, np.stack([GRAY] * 3, axis=3)),
    "gray of one channel": (GRAY[..., None], np.stack([GRAY] * 3, axis=3)),
    "gray of one channel, first": (GRAY[:, None], np.stack([GRAY] * 3, axis=3)),
    "one gray": (GRAY[0], np.stack([GRAY[:1]] * 3, axis=3)),
    "one gray of one channel": (GRAY[0, :, :, None], np.stack([GRAY[:1]] * 3, axis=3)),
    "one gray of one channel, first": (GRAY[:1], np.stack([GRAY[:1]] * 3, axis=3)),
}


def remedies(images: np.ndarray) -> list[str]:
    with pytest.raises(UsageError) as caught:
        check_images(images, (4, 6))
    advice = str(caught.value).partition("Next: pass ")[2]
    return [re.sub(r" for the .*|, where .*", "", choice) for choice in advice.split(", or ")]


def mended(remedy: str, images: np.ndarray) -> np.ndarray:
    return eval(remedy, {"images": images, "numpy": np})  # noqa: S307  (the advice is tried as it is printed)


@pytest.mark.parametrize(("images", "expected"), MENDABLE.values(), ids=MENDABLE.keys())
def test_what_it_says_to_pass_holds_the_same_images(images: np.ndarray, expected: np.ndarray):
    (remedy,) = remedies(images)
    np.testing.assert_array_equal(check_images(mended(remedy, images), (4, 6)), expected)


def test_a_shape_that_can_be_two_things_is_told_as_both():
    """Three gray images, passed on as if they were one, would come back as one image of three colors."""
    for images, single in ((GRAY[:3], RGB[0]), (GRAY[:4], ALPHA[0])):
        channels_first = single.transpose(2, 0, 1)
        assert channels_first.shape == images.shape
        with pytest.raises(UsageError, match=r"(a single image .*, or three|four) gray images"):
            check_images(images, (4, 6))
        of_one, of_gray = sorted(remedies(images))
        np.testing.assert_array_equal(check_images(mended(of_one, channels_first), (4, 6)), single[None, ..., :3])
        np.testing.assert_array_equal(check_images(mended(of_gray, images), (4, 6)), np.stack([images] * 3, axis=3))


def test_fit_images_come_back_untouched():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)[:, ::-1]
    assert check_images(images, (4, 6)) is images

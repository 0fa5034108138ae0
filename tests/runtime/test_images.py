"""Which arrays are images, and what the others are told."""

import numpy as np
import pytest

from pixelproof.errors import UsageError
from pixelproof.runtime.images import check_images

UNFIT = {
    "a list": ([[0]], "got list.*numpy.asarray"),
    "floats": (np.zeros((2, 4, 6, 3), np.float32), r"uint8 .*got float32 \(2, 4, 6, 3\).*round\(\).astype"),
    "signed": (np.zeros((2, 4, 6, 3), np.int64), "got int64"),
    "one image": (np.zeros((4, 6, 3), np.uint8), r"single image. Next: pass images\[None\]"),
    "channels first": (np.zeros((2, 3, 4, 6), np.uint8), r"got .*\(2, 3, 4, 6\).*transpose\(0, 2, 3, 1\)"),
    "grey": (np.zeros((2, 4, 6, 1), np.uint8), "RGB"),
    "alpha": (np.zeros((2, 4, 6, 4), np.uint8), "RGB"),
    "two dimensions": (np.zeros((4, 6), np.uint8), r"got uint8 \(4, 6\)"),
    "another size": (np.zeros((2, 6, 4, 3), np.uint8), r"\(n, 4, 6, 3\), got uint8 \(2, 6, 4, 3\).*resize .* 4x6"),
    "empty": (np.zeros((0, 4, 6, 3), np.uint8), "empty batch"),
}


@pytest.mark.parametrize(("images", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_says_what_was_expected_what_came_and_what_to_pass(images, message):
    with pytest.raises(UsageError, match=message) as caught:
        check_images(images, (4, 6))
    assert "expected uint8 images of shape (n, 4, 6, 3)" in str(caught.value)
    assert "Next: " in str(caught.value)


def test_fit_images_come_back_untouched():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)[:, ::-1]
    assert check_images(images, (4, 6)) is images

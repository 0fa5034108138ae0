"""The check that every batch of images passes before it is run."""

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError


def check_images(images: object, size: tuple[int, int]) -> NDArray[np.uint8]:
    """`images`, uint8 `(n, H, W, 3)`, n > 0, of `size` (H, W), in any memory order; or a `UsageError`."""
    # put into words only where it is at fault: the words would take a tenth of LeNet's time
    if isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.shape[1:] == (*size, 3) and len(images):
        return images
    raise UsageError(_fault(images, size))


def _fault(images: object, size: tuple[int, int]) -> str:
    expected = f"expected uint8 images of shape (n, {size[0]}, {size[1]}, 3)"
    if not isinstance(images, np.ndarray):
        remedy = "pass numpy.asarray(images, dtype=numpy.uint8), where they are of 0..255"
        return f"{expected} as a NumPy array, got {type(images).__name__}. Next: {remedy}"
    got = f"{expected}, got {images.dtype} {images.shape}"
    if images.dtype != np.uint8:
        whole = images.dtype.kind in "iu"
        scaled = "scale to 0..255 and pass images.round().astype(numpy.uint8)"
        remedy = "pass images.astype(numpy.uint8), where they are of 0..255" if whole else scaled
        return f"{got}. Next: {remedy}"
    if images.shape == (0, *size, 3):
        return f"{got}, which is an empty batch. Next: pass one image or more"
    if images.ndim == 4 and images.shape[3] == 3:
        return f"{got}. Next: resize the images to {size[0]}x{size[1]}, or export the bundle with --size"
    for shape, what, remedy in _arrangements(*size):
        if _matches(images.shape, shape):
            return f"{got}, which is {what}. Next: pass {remedy}"
    return f"{got}. Next: pass RGB images"


def _arrangements(height: int, width: int) -> list[tuple[tuple[int | None, ...], str, str]]:
    """Other layouts of images: the shape (None: any length), its name, and what makes RGB of it; the first one holds.

    A shape that can be two things is told as both: followed blindly, the remedy for one would turn three gray images
    into one of three colors, which would be taken without a word.
    """
    gray, to_last = "numpy.repeat(images[..., None], 3, axis=3)", "images.transpose(1, 2, 0)"
    return [
        ((height, width, 3), "a single image", "images[None]"),
        (
            (3, height, width),
            "a single image with its channels first, or three gray images",
            f"{to_last}[None] for the single image, or {gray} for the gray ones",
        ),
        (
            (4, height, width),
            "four gray images, or a single image with alpha and its channels first",
            f"{gray} for the gray ones, or {to_last}[None, ..., :3] for the single image",
        ),
        ((None, height, width), "gray images", gray),
        ((height, width, 1), "a single gray image", "numpy.repeat(images[None], 3, axis=3)"),
        ((height, width, 4), "a single image with alpha", "images[None, ..., :3]"),
        ((None, None, 3), "a single image", "images[None]"),
        ((height, width), "a single gray image", "numpy.repeat(images[None, ..., None], 3, axis=3)"),
        ((None, None, None, 1), "gray images", "numpy.repeat(images, 3, axis=3)"),
        ((None, None, None, 4), "images with alpha", "images[..., :3]"),
        ((None, 1, height, width), "gray images", "numpy.repeat(images.transpose(0, 2, 3, 1), 3, axis=3)"),
        ((None, 3, None, None), "images with their channels first", "images.transpose(0, 2, 3, 1)"),
    ]


def _matches(shape: tuple[int, ...], pattern: tuple[int | None, ...]) -> bool:
    return len(shape) == len(pattern) and all(
        wanted in (None, length) for length, wanted in zip(shape, pattern, strict=True)
    )

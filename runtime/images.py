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
        return f"{expected} as a NumPy array, got {type(images).__name__}. Next: pass numpy.asarray(images)"
    got = f"{expected}, got {images.dtype} {images.shape}"
    if images.dtype != np.uint8:
        return f"{got}. Next: scale to 0..255 and pass images.round().astype(numpy.uint8)"
    if images.ndim == 3:
        return f"{got}, which is a single image. Next: pass images[None]"
    if images.ndim != 4 or images.shape[3] != 3:
        channels_first = images.ndim == 4 and images.shape[1] == 3
        return f"{got}. Next: pass " + ("images.transpose(0, 2, 3, 1)" if channels_first else "RGB images")
    if images.shape[0] == 0:
        return f"{got}, which is an empty batch. Next: pass one image or more"
    return f"{got}. Next: resize the images to {size[0]}x{size[1]}, or export the bundle with --size"

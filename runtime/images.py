"""Images: the check that every batch passes before it is run, and image files as a batch.

What would have to be guessed at is refused: gray, alpha, another size.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError, quote

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_GRAY_MODES = ("1", "L")
_EXIF_ORIENTATION, _ORIENTATIONS = 0x112, 8
_SIDEWAYS = 5  # from this orientation on, rows are columns
_UNKNOWN_RANGE = ("I", "F")  # 32-bit integers and floats: nobody has said what white is
UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF's orientations to Pillow's `Image.Transpose` that turns such an image upright."""


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

    A shape that can be two things is described as both: followed blindly, the remedy for one would turn three gray
    images into one of three colors, which would be taken without a word.
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


def read_images(paths: Sequence[Path], size: tuple[int, int], folder: Path | None = None) -> NDArray[np.uint8]:
    """The files as uint8 RGB `(n, H, W, 3)`, each exactly `size` = (H, W).

    Takes what Pillow opens and holds 8-bit RGB, or a palette of opaque colors, upright as it is stored. Raises
    `UsageError` for the first file that is anything else; `folder` is where they all are, which the remedy mends.
    """
    images = np.empty((len(paths), *size, 3), np.uint8)
    for image, path in zip(images, paths, strict=True):
        with opened_image(path, size) as opened:
            faults = [what for wrong, what in _faults(opened, size) if wrong]
            if not faults:
                image[...] = np.asarray(opened.convert("RGB"))
        if faults:
            raise _unfit(path, faults[0], size, folder or path)
    return images


@contextmanager
def opened_image(path: Path, size: tuple[int, int]) -> Iterator["ImageFile"]:
    """The image at `path`; `UsageError` where there is none, it is damaged, or cannot become 8-bit RGB of `size`."""
    from PIL import Image, UnidentifiedImageError

    _check_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked before decoding
            with Image.open(path) as image:
                if image.mode in _UNKNOWN_RANGE:
                    what = f"has values of no known range (mode {image.mode})"
                    raise UsageError(f"'{path}' {what}. Next: save it with 8 bits a channel")
                yield image
    except UnidentifiedImageError:
        raise UsageError(f"'{path}' is not an image that Pillow can read. Next: give PNG, JPEG, BMP, ...") from None
    except Image.DecompressionBombError:
        what = f"is far larger than the {size[0]}x{size[1]} (height x width) expected"
        raise UsageError(f"'{path}' {what}. Next: scale it down in an image editor") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises on a damaged file
        raise UsageError(f"'{path}' is a damaged image ({error}). Next: copy it again") from error


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder, not an image. Next: name the files in it, {quote(path)}/*.png")
    if not path.exists():
        raise UsageError(f"there is no image '{path}'. Next: check the name, ls {quote(path.parent)}")
    if not path.is_file():
        raise UsageError(f"'{path}' is not an image but a device or pipe. Next: name a file")


def _unfit(path: Path, fault: str, size: tuple[int, int], source: Path) -> UsageError:
    named = source if source.name not in ("", "..") else source.resolve()
    # a file's beside it might be one more image of its class
    fit = Path(f"{named.stem}-fit") if named.is_file() else named.parent / f"{named.name}-fit"
    return UsageError(
        f"'{path}' {fault}, expected 8-bit RGB of {size[0]}x{size[1]} (height x width). "
        f"Next: pixelproof data fit {quote(source)} --size {size[0]},{size[1]} -o {quote(fit)}"
    )


def _faults(image: "ImageFile", size: tuple[int, int]) -> list[tuple[bool, str]]:
    """Each thing that can be wrong with an opened image: whether it is, and its name."""
    turned = orientation(image)
    upright = image.size[::-1] if turned >= _SIDEWAYS else image.size
    wide_gray = image.mode.startswith("I;16")
    wide_rgb = any(";16" in str(tile[3]) for tile in image.tile)  # Pillow would drop the low bytes without a word
    frames = getattr(image, "n_frames", 1)
    alpha = bool(image.has_transparency_data)
    return [
        (turned > 1, f"is to be turned (EXIF orientation {turned})"),
        (alpha, f"has alpha (mode {image.mode})"),
        (wide_gray, "has 16 bits a pixel"),
        (wide_rgb, "has 16 bits a channel"),
        (image.mode in _GRAY_MODES, f"is gray (mode {image.mode})"),
        (image.mode not in ("RGB", "P") and not (alpha or wide_gray), f"is {image.mode}"),
        (frames > 1, f"has {frames} frames"),
        (upright != size[::-1], f"is {upright[1]}x{upright[0]}"),
    ]


def orientation(image: "ImageFile") -> int:
    """EXIF's, 1 to 8; 1 where there is none. Not asked of a file without it, which may be decoded to look for one."""
    stored = image.getexif().get(_EXIF_ORIENTATION) if "exif" in image.info or image.format == "TIFF" else None
    return stored if isinstance(stored, int) and 1 <= stored <= _ORIENTATIONS else 1

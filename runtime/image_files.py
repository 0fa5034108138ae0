"""Image files as a batch of arrays, refusing whatever would have to be guessed at: grey, alpha, another size."""

import json
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import UsageError, quote

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_GREY_MODES = ("1", "L", "I", "F")
_EXIF_ORIENTATION, _ORIENTATIONS = 0x112, 8
_SIDEWAYS = 5  # from this orientation on, rows are columns
_UPRIGHT = "ImageOps.exif_transpose"


def read_images(paths: Sequence[Path], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The files as uint8 RGB `(n, H, W, 3)`, each exactly `size` = (H, W).

    Takes what Pillow opens and holds 8-bit RGB, or a palette of opaque colours, upright as it is stored. Raises
    `UsageError` for the first file that is anything else.
    """
    images = np.empty((len(paths), *size, 3), np.uint8)
    for image, path in zip(images, paths, strict=True):
        image[...] = _read(path, size)
    return images


def _read(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    _check_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked before decoding
            with Image.open(path) as image:
                _check(path, image, size)
                return np.asarray(image.convert("RGB"))
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


def _check(path: Path, image: "ImageFile", size: tuple[int, int]) -> None:
    expected = f"expected 8-bit RGB of {size[0]}x{size[1]} (height x width)"
    if faults := [(what, remedy) for wrong, what, remedy in _faults(image, size) if wrong]:
        remedies = dict.fromkeys(remedy for _, remedy in faults)  # in order, each once
        raise UsageError(f"'{path}' {faults[0][0]}, {expected}. {_convert(path, [*remedies])}")


def _faults(image: "ImageFile", size: tuple[int, int]) -> list[tuple[bool, str, str]]:
    """Each thing that can be wrong with an opened image: whether it is, its name, the Pillow call that mends it.

    The calls are in the order that they have to be made in.
    """
    to_rgb = 'convert("RGB")'
    turned = _orientation(image)
    upright = image.size[::-1] if turned >= _SIDEWAYS else image.size
    wide_grey = image.mode.startswith("I;16")
    wide_rgb = any(";16" in str(tile[3]) for tile in image.tile)  # Pillow would drop the low bytes without a word
    frames = getattr(image, "n_frames", 1)
    alpha = bool(image.has_transparency_data)
    return [
        (turned > 1, f"is to be turned (EXIF orientation {turned})", _UPRIGHT),
        (alpha, f"has alpha (mode {image.mode})", f'convert("RGBA").{to_rgb}'),
        (wide_grey, "has 16 bits a pixel", f'convert("I").point(lambda level: level / 256).{to_rgb}'),
        (wide_rgb, "has 16 bits a channel", to_rgb),
        (image.mode in _GREY_MODES, f"is grey (mode {image.mode})", to_rgb),
        (image.mode not in ("RGB", "P") and not (alpha or wide_grey), f"is {image.mode}", to_rgb),
        (frames > 1, f"has {frames} frames", to_rgb),
        (upright != size[::-1], f"is {upright[1]}x{upright[0]}", f"resize({size[::-1]})"),
    ]


def _orientation(image: "ImageFile") -> int:
    """EXIF's, 1 to 8; 1 where there is none. Not asked of a file without it, which may be decoded to look for one."""
    told = image.getexif().get(_EXIF_ORIENTATION) if "exif" in image.info or image.format == "TIFF" else None
    return told if isinstance(told, int) and 1 <= told <= _ORIENTATIONS else 1


def _convert(path: Path, calls: list[str]) -> str:
    """A command that makes a fit image, beside the old one."""
    fit = path.with_name(f"{path.stem}-fit.png")
    names, opened = "Image", f"Image.open({_literal(path)})"
    if _UPRIGHT in calls:
        names, opened = "Image, ImageOps", f"{_UPRIGHT}({opened})"
    made = ".".join([opened, *(call for call in calls if call != _UPRIGHT)])
    program = f"from PIL import {names}; {made}.save({_literal(fit)})"
    return f"Next: python -c {shlex.quote(program)}"


def _literal(path: Path) -> str:
    """The path as Python text in double quotes, which a shell's single quotes take as they are."""
    return json.dumps(str(path), ensure_ascii=False)

"""Makes of any images what a bundle takes: upright, 8-bit RGB, of one size."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.errors import UsageError, quote
from pixelproof.files import atomic_folder, is_free
from pixelproof.runtime.image_files import UPRIGHT, opened_image, orientation

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile


def fit_images(
    sources: Sequence[Path],
    size: tuple[int, int],
    to: Path,
    *,
    crop: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[int, list[str]]:
    """Write each image as a fit PNG into the new folder `to`, in the subfolder that it was in.

    An image is turned as its EXIF says, loses its alpha and all frames but the first, is taken from 16 bits to 8, and
    scaled by Pillow's bicubic filter. One whose levels have no known range (32 bits, floats) is left out.

    Args:
        sources: one folder, with the folders in it, or image files; what is hidden in a folder is passed over.
        size: height and width.
        to: does not exist yet, or is empty.
        crop: scale until the shorter side fits and cut the longer one off at both ends, in place of squeezing it.
        progress: called with how many are done, and how many there are.

    Returns:
        How many were written, and why each other was left out.

    Raises:
        UsageError: `to` holds something already, a folder beside other sources, a file that is named and is no image,
            or a folder without any.
    """
    if not is_free(to):
        raise UsageError(f"'{to}' exists already. Next: choose another folder with -o, or remove it")
    found = _files(sources)
    left_out: list[str] = []
    with atomic_folder(to, replace=False) as folder:
        for done, (path, name) in enumerate(found, 1):
            try:
                with opened_image(path, size) as image:
                    fitted = _fitted(image, size, crop)
            except UsageError as error:
                if path in sources:  # named, not come upon
                    raise
                left_out.append(error.reason)
            else:
                target = _free(folder / name.with_suffix(".png"))
                target.parent.mkdir(parents=True, exist_ok=True)
                fitted.save(target)
            progress(done, len(found))
        if len(left_out) == len(found):
            why = left_out[0] if found else f"'{sources[0]}' is empty"
            raise UsageError(f"there is no image in {quote(sources[0])}: {why}. Next: name another folder")
    return len(found) - len(left_out), left_out


def _free(target: Path) -> Path:
    """`target`, or with a number where it is taken, by an image of another format or folder."""
    names = chain([target], (target.with_name(f"{target.stem}-{number}.png") for number in count(2)))
    return next(name for name in names if not name.exists())


def _files(sources: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each file, and its name in the new folder."""
    if len(sources) > 1 and (folders := [source for source in sources if source.is_dir()]):
        raise UsageError(
            f"'{folders[0]}' is a folder, and {len(sources)} sources were named. Next: name one folder, or files alone"
        )
    if not sources[0].is_dir():
        return [(source, Path(source.name)) for source in sources]
    return [(path, path.relative_to(sources[0])) for path in _within(sources[0], frozenset())]


def _within(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """All files in a folder and those in it, linked ones too; `above` ends a link to where one came from."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _within(path, above | {here})
        elif path.is_file():
            yield path


def _fitted(image: "ImageFile", size: tuple[int, int], crop: bool) -> "Image":
    from PIL import Image, ImageOps

    upright = image if (turn := UPRIGHT.get(orientation(image))) is None else image.transpose(Image.Transpose(turn))
    if upright.mode.startswith("I;16"):
        upright = upright.convert("I").point(lambda level: level / 256)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")  # for the color that was called transparent to stay a color
    height, width = size
    rgb = upright.convert("RGB")
    return ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC) if crop else rgb.resize((width, height))

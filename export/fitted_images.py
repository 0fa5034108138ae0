"""Makes of any images what a bundle takes: upright, 8-bit RGB, of one size."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.errors import UsageError, quote
from pixelproof.files import atomic_folder, is_free
from pixelproof.runtime.image_files import opened_image

if TYPE_CHECKING:
    from PIL.Image import Image


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
    scaled by Pillow's bicubic filter.

    Args:
        sources: one folder, with the folders in it, or image files; what is hidden in a folder is passed over.
        size: height and width.
        to: does not exist yet, or is empty.
        crop: scale until the shorter side fits and cut the longer one off at both ends, in place of squeezing it.
        progress: called with how many are done, and how many there are.

    Returns:
        How many were written, and why each other was left out.

    Raises:
        UsageError: `to` holds something already, a folder beside other sources, or nothing that is an image.
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
                left_out.append(error.reason)
            else:
                target = folder / name.with_suffix(".png")
                if target.exists():  # of another format
                    target = folder / f"{name}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                fitted.save(target)
            progress(done, len(found))
        if len(left_out) == len(found):
            why = left_out[0] if found else f"'{sources[0]}' is empty"
            raise UsageError(f"there is no image in {', '.join(map(quote, sources))}: {why}. Next: name another folder")
    return len(found) - len(left_out), left_out


def _files(sources: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each file, and its name in the new folder."""
    if len(sources) > 1 and (folders := [source for source in sources if source.is_dir()]):
        raise UsageError(
            f"'{folders[0]}' is a folder, and {len(sources)} sources were named. Next: name one folder, or files alone"
        )
    if not sources[0].is_dir():
        return [(source, Path(source.name)) for source in sources]
    names = [path.relative_to(sources[0]) for path in sorted(sources[0].rglob("*")) if path.is_file()]
    return [(sources[0] / name, name) for name in names if not any(part.startswith(".") for part in name.parts)]


def _fitted(image: "Image", size: tuple[int, int], crop: bool) -> "Image":
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = upright.convert("I").point(lambda level: level / 256)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")  # for the colour that was called transparent to stay a colour
    height, width = size
    rgb = upright.convert("RGB")
    return ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC) if crop else rgb.resize((width, height))

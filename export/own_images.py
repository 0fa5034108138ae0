"""One's own images from folders: labeled to measure on, unlabeled to calibrate with, and of any kind to be fitted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError, UsageError, quote, unknown_name
from pixelproof.files import atomic_folder, is_free
from pixelproof.models import CIFAR10_CLASSES
from pixelproof.models.data import ImageSet, holds_cifar10, load_cifar10, training_sample
from pixelproof.runtime.images import UPRIGHT, opened_image, orientation, read_images

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile


@dataclass(frozen=True)
class Labeled:
    """Images with their labels, and what they are called in a record.

    Attributes:
        images: in turn one of each class, so that the first few are of all.
        name: differs from that of any other images.
        files: each image's, within the folder; empty for a data set that has none.
    """

    images: ImageSet
    name: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Images that int8's scales are taken from, uint8 `(n, H, W, 3)`, and where they are from."""

    images: NDArray[np.uint8]
    name: str

    @classmethod
    def shipped(cls) -> "Calibration":
        """200 training images of CIFAR-10."""
        return cls(training_sample().images, "CIFAR-10, 200 training images (shipped, 20 a class)")


def labeled_images(root: Path | None, class_names: tuple[str, ...], size: tuple[int, int]) -> Labeled:
    """CIFAR-10's test set, or one's own: a folder with a subfolder for each class, named after it.

    Args:
        root: where they are; None for CIFAR-10 where `load_cifar10` looks.
        class_names: of the bundle; the labels are indices into them. A class may have no subfolder.
        size: height and width that each image of one's own must have.

    Raises:
        DataError: neither is there.
        UsageError: a subfolder is of no class or holds a folder, or an image is not 8-bit RGB of that size.
    """
    if root is None or not root.is_dir() or holds_cifar10(root):
        return Labeled(load_cifar10("test", root), "CIFAR-10, 10,000 test images")
    of_class = {folder.name: _files(folder) for folder in _subfolders(root)}
    if not of_class:
        known = class_names == CIFAR10_CLASSES and size == (32, 32)
        raise DataError(
            f"'{root}' holds neither CIFAR-10 nor a subfolder for each class. Next: put your own images into "
            f"{root}/{class_names[0]}/ and so on{', or pixelproof data fetch' if known else ''}"
        )
    for name in of_class:
        if name not in class_names:
            raise unknown_name(f"class in '{root}'", name, class_names, "rename the subfolder")
        for nested in _subfolders(root / name):
            raise UsageError(f"'{nested}' is a folder within a class's. Next: move its images into '{root / name}'")
    turns = max(len(files) for files in of_class.values())
    paths = [
        (class_names.index(name), of_class[name][turn])
        for turn in range(turns)
        for name in class_names
        if turn < len(of_class.get(name, ()))
    ]
    if not paths:
        raise DataError(f"the subfolders of '{root}' hold no images. Next: put those of each class into its subfolder")
    labels = np.array([label for label, _ in paths], np.int64)
    images = ImageSet(read_images([path for _, path in paths], size, root), labels, class_names)
    files = tuple(path.relative_to(root).as_posix() for _, path in paths)
    name = f"{len(files):,} images of folder '{root.resolve().name}' (SHA-256 {images.sha256()[:16]})"
    return Labeled(images, name, files)


def calibration_images(folder: Path, size: tuple[int, int]) -> Calibration:
    """All images of a folder and of the subfolders in it.

    Raises:
        UsageError: no such folder, none in it, or one that is not 8-bit RGB of `size`, height and width.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder of images '{folder}'. Next: --calibration FOLDER, of a few hundred")
    paths = [path for part in (folder, *_subfolders(folder)) for path in _files(part)]
    if not paths:
        raise UsageError(
            f"folder '{folder}' holds no images. Next: put a few hundred into it that the network may meet"
        )
    return Calibration(read_images(paths, size, folder), f"{len(paths)} images of folder '{folder.resolve().name}'")


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
    scaled by Pillow's bicubic filter. One of no known range (32 bits, floats) is left out.

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
    found = _sources(sources)
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


def _sources(sources: Sequence[Path]) -> list[tuple[Path, Path]]:
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
    for path in _shown(folder):
        if path.is_dir():
            yield from _within(path, above | {here})
        elif path.is_file():
            yield path


def _fitted(image: "ImageFile", size: tuple[int, int], crop: bool) -> "Image":
    from PIL import Image, ImageOps

    upright = image if (turn := UPRIGHT.get(orientation(image))) is None else image.transpose(Image.Transpose(turn))
    if upright.mode.startswith("I;16"):
        upright = upright.convert("I").point(lambda value: value / 256)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")  # for the color that was called transparent to stay a color
    height, width = size
    rgb = upright.convert("RGB")
    return ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC) if crop else rgb.resize((width, height))


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _subfolders(root: Path) -> list[Path]:
    return [path for path in _shown(root) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _shown(folder) if path.is_file()]

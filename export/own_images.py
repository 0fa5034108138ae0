"""One's own images, from folders: labeled ones to measure on, and any that the network may meet to calibrate with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError, UsageError, unknown_name
from pixelproof.models import CIFAR10_CLASSES
from pixelproof.models.data import ImageSet, holds_cifar10, load_cifar10
from pixelproof.runtime.image_files import read_images


@dataclass(frozen=True)
class Labeled:
    """Images with their labels, and what they are called in a record.

    Attributes:
        images: in turn one of each class, so that the first few are of all.
        name: tells them from any others.
        files: each image's, within the folder; empty for a data set that has none.
    """

    images: ImageSet
    name: str
    files: tuple[str, ...] = ()


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


def calibration_images(folder: Path, size: tuple[int, int]) -> tuple[NDArray[np.uint8], str]:
    """All images of a folder and of the subfolders in it, uint8 `(n, H, W, 3)`, and their name for the record.

    Raises:
        UsageError: no such folder, none in it, or one that is not 8-bit RGB of `size`.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder of images '{folder}'. Next: --calibration FOLDER, of a few hundred")
    paths = [path for part in (folder, *_subfolders(folder)) for path in _files(part)]
    if not paths:
        raise UsageError(
            f"folder '{folder}' holds no images. Next: put a few hundred into it that the network may meet"
        )
    return read_images(paths, size, folder), f"{len(paths)} images of folder '{folder.resolve().name}'"


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))

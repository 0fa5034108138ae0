"""The reader of CIFAR-10's official binary version.

Source of the format: Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Each file holds 10,000
records of one label byte and 3,072 image bytes: the red, then the green, then the blue plane, each row by row.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError, unknown_name
from pixelproof.models.data.archive import read_files
from pixelproof.models.data.locate import locate

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
RECORD_NBYTES = 1 + 3 * 32 * 32
RECORDS_A_FILE = 10_000
FILE_NBYTES = RECORDS_A_FILE * RECORD_NBYTES


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels.

    Attributes:
        images: uint8 `(n, H, W, 3)`, RGB.
        labels: int64 `(n,)`, indices into `class_names`.
        class_names: one a class.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def sha256(self) -> str:
        """Of the images' and labels' bytes, in hex."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)  # no copy: there may be gigabytes
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def take(self, which: slice | NDArray[np.integer] | NDArray[np.bool_]) -> "ImageSet":
        """The images that `which` selects, in its order."""
        return ImageSet(self.images[which], self.labels[which], self.class_names)


def load_cifar10(split: str, root: Path | str | None = None) -> ImageSet:
    """Read the 50,000 training images ("train") or the 10,000 test images ("test"), in file order.

    Args:
        split: "train" or "test".
        root: the folder, one that holds `cifar-10-batches-bin`, or the `.tar.gz`; None looks in `$PIXELPROOF_DATA`,
            then in the user cache.

    Raises:
        UsageError: no such split.
        DataError: nothing found, or a file is missing, truncated or damaged.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS, "load_cifar10('train') or load_cifar10('test')")
    contents = _read(locate(root), SPLITS[split])
    parts = [decode_records(contents[name], name, RECORDS_A_FILE) for name in SPLITS[split]]
    return ImageSet(
        np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]), CIFAR10_CLASSES
    )


def data_sha256(root: Path | str | None = None) -> dict[str, str]:
    """The SHA-256 of each of the six data files, in hex, by name; for the provenance of trained weights.

    Raises:
        DataError: nothing found, or a file is missing.
    """
    contents = _read(locate(root), (*SPLITS["train"], *SPLITS["test"]))
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def decode_records(content: bytes, name: str, expected: int) -> ImageSet:
    """Images and labels of a file of `expected` records, called `name` in messages.

    Raises:
        DataError: another size, or a label that is no class.
    """
    if len(content) != expected * RECORD_NBYTES:
        raise DataError(
            f"'{name}' is truncated or damaged: expected {expected * RECORD_NBYTES:,} bytes, got {len(content):,}. "
            "Next: pixelproof data fetch"
        )
    records = np.frombuffer(content, np.uint8).reshape(expected, RECORD_NBYTES)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CIFAR10_CLASSES):
        raise DataError(
            f"'{name}' is damaged: it has a label {labels.max()}, the last class is 9. Next: pixelproof data fetch"
        )
    images = np.ascontiguousarray(records[:, 1:].reshape(expected, 3, 32, 32).transpose(0, 2, 3, 1))
    return ImageSet(images, labels, CIFAR10_CLASSES)


def _read(source: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Each named file's bytes, from a folder or straight from an archive."""
    if source.is_dir():
        contents = {name: (source / name).read_bytes() for name in names if (source / name).is_file()}
    else:
        contents = read_files(source, names)
    for name in names:
        if name not in contents:
            raise DataError(f"'{source}' has no '{name}', CIFAR-10's binary version has. Next: pixelproof data fetch")
    return {name: contents[name] for name in names}

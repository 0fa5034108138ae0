"""The reader of CIFAR-10's official binary version.

Source of the format: Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Each file holds 10,000
records of one label byte and 3,072 image bytes. These are the red, the green, and the blue plane, each row by row.
"""

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError, unknown_name
from pixelproof.files import user_cache

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
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


def locate(root: Path | str | None = None) -> Path:
    """The folder with the `.bin` files, or an archive of it.

    Raises:
        DataError: neither is there; the message says where it was looked for.
    """
    start, origin = _start(root)
    if (found := _in(start)) is not None:
        return found
    what = f"'{FOLDER}', no '{ARCHIVE}' and no .bin files" if start.is_dir() else "such file or folder"
    raise DataError(
        f"no CIFAR-10 in '{start}' ({origin}): there is no {what}. "
        "Next: pixelproof data fetch, or name its place by --data or $PIXELPROOF_DATA"
    )


def holds_cifar10(folder: Path) -> bool:
    """Whether it is there, as a folder or an archive."""
    return _in(folder) is not None


def _in(start: Path) -> Path | None:
    for candidate in (start / FOLDER, start / ARCHIVE, start):
        if candidate.is_file() or any((candidate / name).is_file() for name in ("test_batch.bin", "data_batch_1.bin")):
            return candidate
    return None


def _start(root: Path | str | None) -> tuple[Path, str]:
    """Where to look, and why there; what was given is never passed over for another place."""
    if root is not None:
        return Path(root), "as given"
    if place := os.environ.get("PIXELPROOF_DATA"):
        return Path(place), "$PIXELPROOF_DATA"
    return user_cache(), "the user cache; neither --data nor $PIXELPROOF_DATA is set"


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
        contents = _read_archive(source, names)
    for name in names:
        if name not in contents:
            raise DataError(f"'{source}' has no '{name}', CIFAR-10's binary version has. Next: pixelproof data fetch")
    return {name: contents[name] for name in names}


def _read_archive(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The named files' bytes, whatever folder of the archive they stand in; those it does not hold are left out.

    Raises:
        DataError: the archive is damaged or truncated.
    """
    contents: dict[str, bytes] = {}
    with opened(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if name in names and member.isreg():
                with stream_of(tar, member) as content:
                    contents[name] = content.read()
            if len(contents) == len(names):
                break
    return contents


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """The `.tar.gz`, open for reading; `DataError` where it is damaged, truncated, or of another kind."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            yield tar
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"'{archive}' is no .tar.gz, or a damaged or truncated one ({error}). Next: pixelproof data fetch"
        ) from error


def stream_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of a regular file in the archive."""
    stream = tar.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"'{member.name}' is no file")
    return stream

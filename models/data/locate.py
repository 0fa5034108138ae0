"""Where the data set is: what was given, then `$PIXELPROOF_DATA`, then the user cache."""

import os
from pathlib import Path

from pixelproof.errors import DataError
from pixelproof.files import user_cache

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"


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

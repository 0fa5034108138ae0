"""Where the data set is: what was given, then `$PIXELPROOF_DATA`, then the user cache."""

import os
from pathlib import Path

from pixelproof.errors import DataError

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"


def user_cache() -> Path:
    """The folder that `pixelproof data fetch` fills."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelproof"


def locate(root: Path | str | None = None) -> Path:
    """The folder with the `.bin` files, or an archive of it.

    Raises:
        DataError: neither is there; the message lists where it was looked for.
    """
    given = root or os.environ.get("PIXELPROOF_DATA")
    start = Path(given) if given else user_cache()
    for candidate in (start / FOLDER, start / ARCHIVE, start):
        if (
            candidate.is_file()
            or (candidate / "test_batch.bin").is_file()
            or (candidate / "data_batch_1.bin").is_file()
        ):
            return candidate
    name = (
        "--data"
        if root
        else "$PIXELPROOF_DATA"
        if given
        else "the user cache (neither --data nor $PIXELPROOF_DATA set)"
    )
    raise DataError(f"no CIFAR-10 in '{start}', which is {name}. Next: pixelproof data fetch, or give --data DIR")

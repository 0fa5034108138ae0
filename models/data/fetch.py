"""Fetching CIFAR-10's official archive, and unpacking it without trusting it: every file is verified."""

import hashlib
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pixelproof.errors import DataError, Interrupted, UsageError
from pixelproof.files import atomic_folder, sha256_file, user_cache
from pixelproof.models.data.cifar10 import ARCHIVE, FILE_NBYTES, FOLDER, opened, stream_of
from pixelproof.models.data.download import Progress, download

URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    "batches.meta.txt": "558e74b5e208382e186da55784b4bac2cd52e558448e1b5800990fdb28ed8033",
}
"""Of each file of the official archive."""
_README = "readme.html"  # stands in the official archive; holds a link to the data set's page, and no data
_CHUNK_NBYTES = 1 << 20


def fetch_cifar10(
    to: Path | None = None,
    *,
    url: str = URL,
    sha256: Mapping[str, str] = SHA256,
    progress: Progress = lambda done, total: None,
    pause_s: float = 1.0,
) -> Path:
    """Download, verify and unpack CIFAR-10's binary version; a folder that is already whole is left as it is.

    Args:
        to: the folder that gets `cifar-10-batches-bin`; None takes the user cache.
        url: the archive's address, http or https.
        sha256: of each file that the archive must hold.
        progress: called with the bytes that are there and the bytes of the whole archive, or None.
        pause_s: seconds before the second try of a download that broke off, doubled before each further one.

    Returns:
        The folder `cifar-10-batches-bin`.

    Raises:
        UsageError: `url` is no web address, or the folder holds files of someone else.
        DataError: the download failed (what came is kept), or the archive is damaged or unsafe (it is removed).
        Interrupted: Ctrl-C; what came is kept.
    """
    home = to or user_cache()
    folder, part = home / FOLDER, home / f"{ARCHIVE}.part"
    if _is_whole(folder, sha256):
        return folder
    _refuse_to_replace_others(folder, sha256)
    try:
        download(url, part, progress, pause_s=pause_s)
        _install(part, folder, sha256)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped fetching CIFAR-10; what came of the archive is kept in '{part}'. "
            "Next: the same command goes on from there"
        ) from None
    return folder


def _install(part: Path, folder: Path, sha256: Mapping[str, str]) -> None:
    try:
        with atomic_folder(folder, replace=True) as new:
            _unpack(part, new, sha256)
    except DataError:
        part.unlink()  # going on from it would give the same again
        raise
    part.unlink()


def _is_whole(folder: Path, sha256: Mapping[str, str]) -> bool:
    return all((folder / name).is_file() and sha256_file(folder / name) == sha256[name] for name in sha256)


def _refuse_to_replace_others(folder: Path, sha256: Mapping[str, str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is in the way, and no folder. Next: move it, or give another folder by --to")
    others = sorted(p.name for p in folder.iterdir() if p.name not in {*sha256, _README}) if folder.is_dir() else []
    if others:
        raise UsageError(
            f"'{folder}' is not replaced, for it holds other files too, such as '{others[0]}'. "
            "Next: move them, or give another folder by --to"
        )


def _unpack(archive: Path, folder: Path, sha256: Mapping[str, str]) -> None:
    """Copy the files that `sha256` names into `folder`, each checked against its hash.

    But for a `readme.html`, which is left out, the archive may hold nothing else. A path that leads elsewhere, a
    link, a device, an unknown file, or a file larger than a data file is refused. Not a byte of it is written.

    Raises:
        DataError: something is refused, missing, damaged or of another hash.
    """
    found = set()
    with opened(archive) as tar:
        for member in tar:
            name = _checked_name(member, (*sha256, _README))
            if name in sha256:
                with stream_of(tar, member) as content:
                    _copy(content, folder / name, sha256[name])
                found.add(name)
    if missing := sorted(set(sha256) - found):
        raise DataError(f"the archive has no '{missing[0]}'. Next: pixelproof data fetch")


def _checked_name(member: tarfile.TarInfo, known: tuple[str, ...]) -> str:
    """The member's name inside the data folder; empty for the folder itself."""
    top, _, name = member.name.partition("/")
    if top != FOLDER or not ((member.isreg() and name in known) or (member.isdir() and not name)):
        raise _refused(f"{_kind(member)} '{member.name}' is none of CIFAR-10's ({', '.join(known)})")
    if member.size > FILE_NBYTES:
        raise _refused(f"file '{member.name}' has {member.size:,} bytes, expected at most {FILE_NBYTES:,}")
    return name


def _refused(why: str) -> DataError:
    return DataError(f"the archive was refused: its {why}. Next: pixelproof data fetch, from a source you trust")


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "link"
    return "folder" if member.isdir() else "file" if member.isreg() else "device"


def _copy(content: IO[bytes], target: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := content.read(_CHUNK_NBYTES):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != expected:
        raise DataError(
            f"'{target.name}' in the archive is damaged: expected SHA-256 {expected}, got {digest.hexdigest()}. "
            "Next: pixelproof data fetch"
        )

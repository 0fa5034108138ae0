"""CIFAR-10's `.tar.gz`: reading it as it is, and unpacking it without trusting it."""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pixelproof.errors import DataError
from pixelproof.models.data.locate import FOLDER

README = "readme.html"  # stands in the official archive; holds a link to the data set's page, and no data
_CHUNK_NBYTES = 1 << 20


def read_files(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The named files' bytes, whatever folder of the archive they stand in; those it does not hold are left out.

    Raises:
        DataError: the archive is damaged or truncated.
    """
    contents: dict[str, bytes] = {}
    with _opened(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if name in names and member.isreg():
                with _stream(tar, member) as content:
                    contents[name] = content.read()
            if len(contents) == len(names):
                break
    return contents


def unpack(archive: Path, folder: Path, sha256: Mapping[str, str], *, max_nbytes: int) -> None:
    """Copy the files that `sha256` names into `folder`, each checked against its hash.

    But for a `readme.html`, which is left out, the archive may hold nothing else: a path that leads elsewhere, a
    link, a device, an unknown file or one above `max_nbytes` is refused before a byte of it is written.

    Raises:
        DataError: something is refused, missing, damaged or of another hash.
    """
    found = set()
    with _opened(archive) as tar:
        for member in tar:
            name = _checked_name(member, (*sha256, README), max_nbytes)
            if name in sha256:
                with _stream(tar, member) as content:
                    _copy(content, folder / name, sha256[name])
                found.add(name)
    if missing := sorted(set(sha256) - found):
        raise DataError(f"the archive has no '{missing[0]}'. Next: pixelproof data fetch")


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            yield tar
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"'{archive}' is no .tar.gz, or a damaged or truncated one ({error}). Next: pixelproof data fetch"
        ) from error


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"'{member.name}' is no file")
    return stream


def _checked_name(member: tarfile.TarInfo, known: tuple[str, ...], max_nbytes: int) -> str:
    """The member's name inside the data folder; empty for the folder itself."""
    top, _, name = member.name.partition("/")
    if top != FOLDER or not ((member.isreg() and name in known) or (member.isdir() and not name)):
        raise _refused(f"{_kind(member)} '{member.name}' is none of CIFAR-10's ({', '.join(known)})")
    if member.size > max_nbytes:
        raise _refused(f"file '{member.name}' has {member.size:,} bytes, expected at most {max_nbytes:,}")
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

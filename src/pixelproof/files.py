"""Writing that leaves either the whole new file or folder, or what was there before."""

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

_log = logging.getLogger("pixelproof")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, renamed onto it when the block ends well and removed when it does not.

    Folders above `target` that are missing are made, and removed with it.
    """
    with errors_name(target), _parents(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; results and weights are to be shared
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write `content` to `target` as UTF-8, whole or not at all."""
    write_bytes(target, content.encode())


def write_json(target: Path, content: Any) -> None:  # noqa: ANN401  (whatever json takes)
    """Write `content` to `target` as indented JSON with a final newline, whole or not at all."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def atomic_folder(target: Path, *, replace: bool) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed onto it when the block ends well and removed when it does not.

    With `replace`, a folder that exists is renamed aside first and removed last, so that one of the two is always
    whole. Without it, a target that is not free (see `is_free`) raises `FileExistsError`. Folders above `target` that
    are missing are made, and removed with it.
    """
    if not replace and not is_free(target):
        raise FileExistsError(target)
    with errors_name(target), _parents(target):
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _swap(temporary, target, replace)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def is_free(target: Path) -> bool:
    """Whether a folder can be put at `target` with nothing lost: nothing is there, or an empty folder.

    A mount point is not free: nothing can be renamed onto it. The current folder is not free either: whoever stands in
    it would be left in a folder that is gone.
    """
    if not os.path.lexists(target):
        return True
    if target.is_symlink() or not target.is_dir() or any(target.iterdir()):
        return False
    return not target.is_mount() and not target.samefile(os.curdir)


def check_writable(target: Path) -> None:
    """Raise the `OSError`, naming `target`, that writing there would: ask before the work whose result it is to hold.

    What is asked is the nearest folder above `target` that exists; nothing is left in it.
    """
    folder = next(parent for parent in target.absolute().parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    with errors_name(target), tempfile.NamedTemporaryFile(prefix=f".{target.name}.", suffix=".tmp", dir=folder):
        pass


@contextmanager
def errors_name(target: Path) -> Iterator[None]:
    """Let errors of the disk name `target`: a full one names nothing, others name the temporary file."""
    try:
        yield
    except OSError as error:
        parts = Path(error.filename or "").parts
        is_temporary = any(part.startswith(f".{target.name}.") and part.endswith(".tmp") for part in parts)
        if error.errno is not None and (error.filename is None or is_temporary):
            error.filename = str(target)
        raise


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Make the folders above `target`; those that were missing go again when the block fails, if they are empty."""
    made: list[Path] = []
    try:
        for folder in reversed([*takewhile(lambda parent: not parent.is_dir(), target.parents)]):
            try:
                folder.mkdir()
            except FileExistsError:
                if not folder.is_dir():  # another process may have made it in between
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
            else:
                made.append(folder)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # others have put something there
                folder.rmdir()
        raise


def _swap(new: Path, target: Path, replace: bool) -> None:
    if is_free(target):
        if target.is_dir():
            shutil.copymode(target, new)
        new.replace(target)  # an empty folder gives way to it; one that is filled meanwhile does not
        return
    if not replace:  # it came while we worked
        raise FileExistsError(target)
    aside = new.with_suffix(".old")
    try:
        target.replace(aside)
        new.replace(target)
    finally:  # whatever broke it off, a signal too
        if os.path.lexists(aside):
            _remove(aside) if os.path.lexists(target) else aside.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def cached(path: Path) -> bytes | None:
    """What `keep` wrote to `path`; None where there is nothing, or nothing that can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def keep(path: Path, content: bytes) -> None:
    """Write `content` to `path` in a cache, if it can be: else it is made again next time, and a log line says so."""
    try:
        write_bytes(path, content)
    except OSError as error:
        _log.warning("the cache cannot keep '%s' (%s); it is made again next time", path, error.strerror or error)


def user_cache() -> Path:
    """Where downloads and what is built at first use are kept: `$XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelproof"

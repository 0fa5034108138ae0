"""Writing that leaves either the whole new file or folder, or what was there before."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, renamed onto it when the block ends well and removed when it does not."""
    with errors_name(target):
        target.parent.mkdir(parents=True, exist_ok=True)
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

    With `replace`, a folder that exists is renamed aside first and removed last, so that one of the two is
    always whole; without it, an existing target raises `FileExistsError`.
    """
    if not replace and os.path.lexists(target):
        raise FileExistsError(target)
    with errors_name(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _swap(temporary, target, replace)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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


def _swap(new: Path, target: Path, replace: bool) -> None:
    if not replace and os.path.lexists(target):  # it came while we worked
        raise FileExistsError(target)
    aside = new.with_suffix(".old")
    had_one = os.path.lexists(target)
    if had_one:
        target.replace(aside)
    try:
        new.replace(target)
    except OSError:
        if had_one:
            aside.replace(target)
        raise
    if had_one and aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    elif had_one:
        aside.unlink()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def user_cache() -> Path:
    """Where downloads and what is built at first use are kept: `$XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelproof"

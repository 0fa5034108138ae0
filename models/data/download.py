"""Downloading one file over HTTP, resumed where it broke off."""

import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pixelproof.errors import DataError, UsageError

Progress = Callable[[int, int | None], None]
"""Takes the bytes that are there and the bytes of the whole file, None where the server does not state it."""

_CHUNK_NBYTES = 1 << 16
_TIMEOUT_S = 30
_RANGE_NOT_SATISFIABLE = 416
_WORTH_ANOTHER_TRY = (408, 429, 500, 502, 503, 504)


class _BrokenOff(Exception):  # noqa: N818  (never leaves this module)
    """The transfer ended early; another try may go on from there."""


def download(url: str, part: Path, progress: Progress, *, tries: int = 4, pause_s: float = 1.0) -> None:
    """Fetch `url` into `part`, going on behind the bytes that `part` already holds.

    Args:
        url: an http or https address.
        part: the file. The caller verifies its content: the server's may have changed between two calls.
        progress: called after every chunk.
        tries: connections to make before giving up.
        pause_s: seconds before the second try, doubled before each further one.

    Raises:
        UsageError: `url` is no http or https address.
        DataError: the server refuses, or every try broke off; what came is kept.
    """
    _check_address(url)
    reason = ""
    for number in range(tries):
        time.sleep(pause_s * 2 ** (number - 1) if number else 0)
        try:
            return _go_on(url, part, progress)
        except _BrokenOff as error:
            reason = str(error)
    failed = f"downloading {url} failed {tries} times, last: {reason}"
    if kept := _nbytes(part):
        raise DataError(f"{failed}; {kept:,} bytes are kept in '{part}'. Next: the same command goes on from there")
    raise DataError(f"{failed}. Next: check the connection, or pixelproof data fetch --url URL takes it from a mirror")


def _go_on(url: str, part: Path, progress: Progress) -> None:
    """Fetch what is missing of `part` in one connection."""
    done = _nbytes(part)
    response = _ask(url, part, done)
    if response is None:
        return
    with response:
        if response.status != 206:  # the server ignored Range and sends the whole file
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if done else "wb") as file:
            for chunk in _chunks(response):
                done += file.write(chunk)
                progress(done, total)
    if total is not None and done < total:  # a read of a connection that was cut just ends
        raise _BrokenOff(f"the connection ended at {done:,} of {total:,} bytes")


def _ask(url: str, part: Path, done: int) -> HTTPResponse | None:
    """The server's answer to a request for all behind the first `done` bytes; None where nothing is behind them."""
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response: HTTPResponse = urlopen(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and error.headers.get("Content-Range") == f"bytes */{done}":
            return None
        if error.code == _RANGE_NOT_SATISFIABLE and done:
            raise _start_over(part) from error
        raise _refusal(url, error) from error
    except (OSError, HTTPException) as error:
        raise _BrokenOff(str(getattr(error, "reason", error)) or type(error).__name__) from error
    if response.status == 206 and not re.match(rf"bytes {done}-", response.headers.get("Content-Range", "")):
        response.close()
        raise _start_over(part)
    return response


def _start_over(part: Path) -> _BrokenOff:
    part.unlink(missing_ok=True)
    return _BrokenOff("the server has another file than the one begun")


def _refusal(url: str, error: HTTPError) -> Exception:
    answer = f"HTTP {error.code} {error.reason}"
    if error.code in _WORTH_ANOTHER_TRY:
        return _BrokenOff(answer)
    return DataError(f"{url} was refused: {answer}. Next: pixelproof data fetch --url URL takes it from a mirror")


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """The body, chunk by chunk; an error of the connection, unlike one of the disk, is worth another try."""
    try:
        while chunk := response.read1(_CHUNK_NBYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from error


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[!-~]+", url):
        raise UsageError(f"'{url}' is no http or https address. Next: pixelproof data fetch, without --url")


def _nbytes(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0

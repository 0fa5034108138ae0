"""The command line's entry: turns errors, Ctrl-C and SIGTERM into one line and an exit code.

What takes long to import is imported in `main()`, so that Ctrl-C in the meantime ends in one line too.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CTRL_C, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_REPEATED_S = 1.0
"""`timeout` sends SIGTERM twice at once; the second one must not break off what the first one unwinds."""


def main() -> None:
    """Run the command line.

    The exit code is 0, 1 (it failed), 2 (it was asked wrongly), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    try:
        with _sigterm_unwinds():
            _run()
    except KeyboardInterrupt:
        _fail("interrupted", _CTRL_C)
    except SystemExit as left:
        if left.code == _TERMINATED:
            _fail("terminated", _TERMINATED)
        raise


def _run() -> None:
    from pixelproof.app import app
    from pixelproof.errors import PixelproofError

    try:
        try:
            app()
        except SystemExit as left:
            if left.code == _CTRL_C:  # typer's own, without a word
                raise KeyboardInterrupt from None
            raise
    except PixelproofError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        _fail(f"{error.strerror or error}{where}. Next: check the disk and the folder's permissions", 1)


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """SIGTERM raises `SystemExit` inside, so that temporary files are removed; it would end the process at once."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # no other thread may set a handler, and one that is set, or that nothing be done, is somebody's wish
        return
    last = -_REPEATED_S

    def leave(*_: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= _REPEATED_S:
            raise SystemExit(_TERMINATED)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)

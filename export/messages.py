"""Other people's exceptions on one line, and their chatter kept off the terminal."""

import contextlib
import io
import logging
import signal
import warnings
from collections.abc import Iterator


def cause(error: BaseException) -> str:
    """The type and first line of the exception at the root of `error`, short enough for a message."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300].rstrip('.')}" if lines else type(error).__name__


def reraise_interrupt(error: BaseException) -> None:
    """Raise the Ctrl-C or the exit that other people's code made another exception of while `error` came about."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, KeyboardInterrupt) or is_sigterm(at):
            raise at from None
        seen.add(id(at))
        at = at.__cause__ or at.__context__


def is_sigterm(error: BaseException) -> bool:
    """Whether it is the command line that leaves, told to by SIGTERM, and not the user's code."""
    return isinstance(error, SystemExit) and error.code == 128 + signal.SIGTERM


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed, logged or warned of inside."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(disabled)

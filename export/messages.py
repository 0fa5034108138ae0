"""Other people's exceptions on one line, and their chatter kept off the terminal."""

import contextlib
import io
import logging
import signal
import sys
import warnings
from collections.abc import Iterator


def cause(error: BaseException) -> str:
    """The type and first line of the exception at the root of `error`, short enough for a message."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300].rstrip('.')}" if lines else type(error).__name__


@contextlib.contextmanager
def interrupts_kept() -> Iterator[None]:
    """Let a Ctrl-C or SIGTERM through that other people's code makes another exception of, as an import may."""
    handled = sys.exception()  # by the caller: what came of that is no interrupt of what runs here
    try:
        yield
    except (Exception, SystemExit) as error:
        for each in _origins(error, handled):
            if isinstance(each, KeyboardInterrupt) or is_sigterm(each):
                raise each from None
        raise


@contextlib.contextmanager
def others_code() -> Iterator[None]:
    """For other people's code: interrupts come through, and what it prints goes to stderr, as stdout is for results."""
    with interrupts_kept(), contextlib.redirect_stdout(sys.stderr):
        yield


def _origins(error: BaseException, handled: BaseException | None) -> list[BaseException]:
    """`error` and the exceptions that it came of, but for the one that was being handled, and those that it came of."""
    found: list[BaseException] = []
    left = [error]
    while left:
        at = left.pop()
        if at is not handled and not any(at is each for each in found):
            found.append(at)
            left += [each for each in (at.__cause__, at.__context__) if each is not None]
    return found


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

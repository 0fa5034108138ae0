"""The errors that reach a user: each says what was asked, what exists, and the next command.

The command line prints them on one line and leaves with `exit_code`; a program catches `PixelproofError`.
"""

import difflib
from collections.abc import Iterable


class PixelproofError(Exception):
    """Something could not be done; the message says what was asked, what exists and what to do next."""

    exit_code = 1


class UsageError(PixelproofError):
    """The request itself is wrong: an unknown name, an unfit value, a file of the wrong kind."""

    exit_code = 2


class DataError(PixelproofError):
    """A data set is missing, incomplete or damaged."""


class WeightsError(PixelproofError):
    """A weights file is missing, damaged, or made for another network."""


class BundleError(PixelproofError):
    """A bundle is missing, damaged, of another format, or reaches outside its folder."""


class BackendError(PixelproofError):
    """An execution provider is missing, broken, or not the one that was asked for."""


class ExportError(PixelproofError):
    """An export failed, or what it wrote does not compute what the network computes."""


class Interrupted(PixelproofError):  # noqa: N818  (not a fault of anything)
    """The user stopped the work; the message says what is kept and how to go on."""


def unknown_name(kind: str, asked: str, known: Iterable[str], next_command: str) -> UsageError:
    """An error for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    near = difflib.get_close_matches(asked, names, n=1, cutoff=0.5)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return UsageError(f"unknown {kind} '{asked}';{hint} there are: {', '.join(names)}. Next: {next_command}")


def missing_extra(package: str, extra: str, purpose: str) -> PixelproofError:
    """An error for an optional package that is not installed."""
    return PixelproofError(
        f"{purpose} needs {package}, which is not installed. Next: pip install 'pixelproof[{extra}]'"
    )

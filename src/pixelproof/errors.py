"""The errors that reach a user: each says what was asked, what exists, and the next command.

The command line prints them on one line and leaves with `exit_code`; a program catches `PixelproofError`.
"""

import difflib
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class PixelproofError(Exception):
    """Something could not be done; the message says what was asked, what exists and what to do next."""

    exit_code = 1

    @property
    def reason(self) -> str:
        """The message without what to do next."""
        return str(self).partition(" Next: ")[0].rstrip(".")

    @property
    def next_step(self) -> str:
        """What to do next; empty where the message does not say."""
        return str(self).partition(" Next: ")[2]


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

    exit_code = 130  # as shells have it of Ctrl-C: a loop around the command stops, too


class Terminated(Interrupted):
    """A SIGTERM did; likewise."""

    exit_code = 143


@contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Make of Ctrl-C or SIGTERM in the block an error that says what is `kept`: the same command goes on from there."""
    message = f"stopped; {kept}. Next: the same command goes on"
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(message) from None
    except SystemExit as left:
        if left.code != Terminated.exit_code:
            raise
        raise Terminated(message) from None


def quote(path: str | os.PathLike[str]) -> str:
    """The path as a command may hold it: quoted for a shell where that is needed."""
    return shlex.quote(os.fspath(path))


def unknown_name(kind: str, asked: object, known: Iterable[str], next_command: str) -> UsageError:
    """An error for a name that does not exist, or is no text, with the nearest one that does."""
    names = sorted(known)
    near = difflib.get_close_matches(str(asked), names, n=1, cutoff=0.5)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return UsageError(f"unknown {kind} '{asked}';{hint} there are: {', '.join(names)}. Next: {next_command}")


def missing_extra(
    package: str, extra: str, purpose: str, kind: type[PixelproofError] = PixelproofError
) -> PixelproofError:
    """An error, of that kind, for an optional package that is not installed."""
    return kind(f"{purpose} needs {package}, which is not installed. Next: {install_command(extra)}")


ONNX_RUNTIME = {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu"}
"""ONNX Runtime's wheel, by extra. Both install the module `onnxruntime`, the later over the earlier."""


def installed_wheels() -> list[str]:
    """Those of ONNX Runtime's wheels that are installed, in the folder from which Python takes the module."""
    from importlib.metadata import distributions  # slow to import, and needed here alone

    for folder in sys.path:  # an environment made over another hides the other's
        there = [name for name in ONNX_RUNTIME.values() if any(distributions(name=name, path=[folder]))]
        if there:
            return there
    return []


def install_command(extra: str) -> str:
    """The command that adds an extra to the pixelproof that is installed, which pip looks for nowhere else."""
    install = f"pip install 'pixelproof[{extra}]'"
    wheels = installed_wheels() if extra in ONNX_RUNTIME else []
    if all(name == ONNX_RUNTIME[extra] for name in wheels):
        return install
    return f"pip uninstall -y {' '.join(wheels)} && {install}"  # all: whichever goes takes files of the other along


def in_clone(command: str) -> str:
    """The command, to be given in the clone that pixelproof is installed from: no package index has it."""
    return f"in pixelproof's clone, {command}"

"""Other people's code: networks built by it, its exceptions on one line, its chatter kept off the terminal."""

import contextlib
import importlib
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pixelproof.errors import ExportError, UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn


def build_own(asked: str, command: str = "pixelproof export") -> "nn.Module":
    """The network that `module:function` builds; the current directory is searched for the module first.

    `command` is what advice has before the name of another function.
    Raises `UsageError` where there is no such function or it gives no `nn.Module`, `ExportError` where it fails.
    """
    module_name, _, function_name = asked.partition(":")
    if module_name.endswith(".py") or not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(
            f"'{module_name}' in '{asked}' is not the name of a Python module. "
            f"Next: give it without folder and suffix, such as my_network:build for my_network.py here"
        )
    return _call(_import(module_name), module_name, function_name, command)


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
            if isinstance(each, KeyboardInterrupt) or _is_sigterm(each):
                raise each from None
        raise


@contextlib.contextmanager
def others_code() -> Iterator[None]:
    """Let interrupts through, and send what other people's code prints to stderr: stdout is for results."""
    with interrupts_kept(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Print, log and warn of nothing inside."""
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


def _origins(error: BaseException, handled: BaseException | None) -> list[BaseException]:
    """`error` and the exceptions that it came of, but for `handled` and those that only `handled` came of."""
    found: list[BaseException] = []
    left = [error]
    while left:
        at = left.pop()
        if at is not handled and not any(at is each for each in found):
            found.append(at)
            left += [each for each in (at.__cause__, at.__context__) if each is not None]
    return found


def _is_sigterm(error: BaseException) -> bool:
    """Whether the command line leaves because of SIGTERM, and not the user's code."""
    return isinstance(error, SystemExit) and error.code == 128 + signal.SIGTERM


@contextlib.contextmanager
def _reported(what: str) -> Iterator[None]:
    """Raise whatever the user's code raises as an `ExportError`."""
    try:
        with others_code():
            yield
    except (Exception, SystemExit) as error:
        if _is_sigterm(error):
            raise
        raise ExportError(f"{what} failed: {cause(error)}. Next: mend it, then export again") from error


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109  (sys.path holds text)
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        with _reported(f"importing '{name}'"):
            return importlib.import_module(name)
    except ExportError as error:
        missing = error.__cause__.name if isinstance(error.__cause__, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise
    raise UsageError(
        f"there is no module '{name}' in '{here}' or among the installed packages. "
        f"Next: run this in the folder that holds {name.replace('.', '/')}.py"
    )


def _call(module: ModuleType, module_name: str, name: str, command: str) -> "nn.Module":
    from torch import nn

    build = getattr(module, name, None)
    if not callable(build):
        raise _no_function(module, module_name, name, command)
    with _reported(f"{module_name}:{name}()"):
        network = build()
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{module_name}:{name}() has to give a torch.nn.Module, got {type(network).__name__}. "
            f"Next: let it build and return the network"
        )
    return network


def _no_function(module: ModuleType, module_name: str, name: str, command: str) -> UsageError:
    """Says which file was taken for the module: a name that the standard library has is not looked for here."""
    taken = getattr(module, "__file__", None) or "a part of Python itself"
    here = Path(*module_name.split("."))
    for own in (here.with_suffix(".py"), here / "__init__.py"):
        if own.is_file() and not (Path(taken).is_file() and own.samefile(taken)):
            return UsageError(
                f"'{module_name}' in '{module_name}:{name}' was taken to be {taken}, which has no function '{name}', "
                f"and not '{own}' here. Next: rename that one, then {command} NEW_NAME:{name}"
            )
    known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    return unknown_name(f"function in {module_name} ({taken})", name, known, f"{command} {module_name}:FUNCTION")

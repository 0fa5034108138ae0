"""Runs a user's own `module:function` to get a PyTorch network."""

import contextlib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pixelproof.errors import ExportError, UsageError, unknown_name
from pixelproof.export.messages import cause, interrupts_kept, is_sigterm

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
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
        module = _import(module_name)
        return _call(module, module_name, function_name, command)


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109  (sys.path holds text)
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        with interrupts_kept():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module '{name}' in '{here}' or among the installed packages. "
                f"Next: run this in the folder that holds {name.replace('.', '/')}.py"
            ) from None
        raise _failed(f"importing '{name}'", error) from error
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        if is_sigterm(error):
            raise
        raise _failed(f"importing '{name}'", error) from error


def _call(module: ModuleType, module_name: str, name: str, command: str) -> "nn.Module":
    from torch import nn

    build = getattr(module, name, None)
    if not callable(build):
        raise _no_function(module, module_name, name, command)
    try:
        with interrupts_kept():
            network = build()
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        if is_sigterm(error):
            raise
        raise _failed(f"{module_name}:{name}()", error) from error
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


def _failed(what: str, error: BaseException) -> ExportError:
    return ExportError(f"{what} failed: {cause(error)}. Next: mend it, then export again")

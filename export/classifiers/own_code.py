"""Runs a user's own `module:function` to get a PyTorch network."""

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from pixelproof.errors import ExportError, UsageError, unknown_name
from pixelproof.export.messages import cause

if TYPE_CHECKING:
    from torch import nn


def build_own(asked: str) -> "nn.Module":
    """The network that `module:function` builds; the current directory is searched for the module first.

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
        return _call(module, module_name, function_name)


def _import(name: str) -> ModuleType:
    here = os.getcwd()  # noqa: PTH109  (sys.path holds text)
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is no module '{name}' in '{here}' or among the installed packages. "
                f"Next: run this in the folder that holds {name.replace('.', '/')}.py"
            ) from None
        raise _failed(f"importing '{name}'", error) from error
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _failed(f"importing '{name}'", error) from error


def _call(module: ModuleType, module_name: str, name: str) -> "nn.Module":
    from torch import nn

    build = getattr(module, name, None)
    if not callable(build):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"function in {module_name}", name, known, f"pixelproof export {module_name}:FUNCTION")
    try:
        network = build()
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _failed(f"{module_name}:{name}()", error) from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{module_name}:{name}() has to give a torch.nn.Module, got {type(network).__name__}. "
            f"Next: let it build and return the network"
        )
    return network


def _failed(what: str, error: BaseException) -> ExportError:
    return ExportError(f"{what} failed: {cause(error)}. Next: mend it, then export again")

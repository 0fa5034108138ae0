"""Names of before: each works for one more release, with a warning that states the new one."""

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that `old` is `new` now; the warning points to the caller's caller, or as `warnings.warn` counts."""
    warnings.warn(
        f"{old} is {new} now; the next release has the new name alone", DeprecationWarning, stacklevel=stacklevel
    )


def renamed(values: Mapping[str, Any], old: str, new: str, where: str) -> dict[str, Any]:
    """Keyword arguments of `where` with `old` passed on as `new`, warned of."""
    if old not in values:
        return dict(values)
    warn_renamed(f"{where}({old}=)", f"{where}({new}=)", stacklevel=4)  # where the argument was given
    return {new: values[old], **{name: value for name, value in values.items() if name != old}}


def keyword_renamed(old: str, new: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it takes its keyword argument `new` by the name `old` too, with a warning."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            return function(*args, **renamed(options, old, new, function.__name__))

        return call

    return decorate


def field_renamed(old: str, new: str) -> Callable[[type[T]], type[T]]:
    """Decorate a dataclass so that its field `new` is given and read by the name `old` too, with a warning."""

    def decorate(kind: type[T]) -> type[T]:
        made: Callable[..., None] = kind.__init__

        @functools.wraps(made)
        def init(self: T, *args: Any, **values: Any) -> None:  # noqa: ANN401  (whatever the fields hold)
            made(self, *args, **renamed(values, old, new, kind.__name__))

        def read(self: T) -> Any:  # noqa: ANN401
            warn_renamed(f"{kind.__name__}.{old}", f"{kind.__name__}.{new}")
            return getattr(self, new)

        setattr(kind, "__init__", init)  # noqa: B010  (mypy forbids to assign it)
        setattr(kind, old, property(read))
        return kind

    return decorate


def moved(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: each name in `homes` is taken from "module" or "module:name", warned of."""

    def find(name: str) -> Any:  # noqa: ANN401  (whatever the name stands for)
        if name not in homes:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        home, _, new = homes[name].partition(":")
        warn_renamed(f"{module}.{name}", f"{home}.{new or name}")
        return getattr(importlib.import_module(home), new or name)

    return find

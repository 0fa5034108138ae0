"""The two distributions of TensorRT: one code path, as both are strongly typed and have the same API.

TensorRT itself is imported when an engine is built or run, and not before.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from pixelproof.errors import BackendError, UsageError, missing_extra, unknown_name

DISTRIBUTIONS = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Each distribution's module, by what `--flavor` calls it."""
PORTABLE = "portable"
"""For every GPU that the distribution knows."""
_KEPT_ERRORS = 200  # more are not read by anyone


@dataclass(frozen=True)
class Distribution:
    """An imported TensorRT.

    Attributes:
        name: one of `DISTRIBUTIONS`.
        trt: its module.
    """

    name: str
    trt: Any

    @property
    def version(self) -> str:
        """The package's version: an engine can be loaded by that alone."""
        return str(self.trt.__version__)

    @property
    def chooses_capability(self) -> bool:
        """Whether it builds for GPUs that are not in this machine."""
        return hasattr(self.trt, "ComputeCapability")

    def capability(self, asked: str) -> Any:  # noqa: ANN401  (a value of the module's own enumeration)
        """The compute capability `asked` for, such as "8.9"; `UsageError` for one that it does not build for."""
        names = [name for name in dir(self.trt.ComputeCapability) if name.startswith("SM") and name[2:].isdigit()]
        names.sort(key=lambda name: int(name[2:]))
        known = {f"{name[2:-1]}.{name[-1]}": getattr(self.trt.ComputeCapability, name) for name in names}
        if asked not in known:
            raise UsageError(
                f"{self.name} {self.version} does not build for compute capability '{asked}'; it does for "
                f"{', '.join(known)} and {PORTABLE}. Next: --compute-capability {PORTABLE}"
            )
        return known[asked]


def open_distribution(name: str, *, purpose: str) -> Distribution:
    """Import the TensorRT called `name`; `purpose` ("building", "running") is for the error where it is missing.

    Raises:
        UsageError: there is none of that name.
        PixelproofError: it is not installed, or does not load.
    """
    if name not in DISTRIBUTIONS:
        raise unknown_name("flavor", name, DISTRIBUTIONS, "choose one with --flavor NAME")
    module = DISTRIBUTIONS[name]
    try:
        return Distribution(name, importlib.import_module(module))
    except ModuleNotFoundError:
        raise missing_extra(module, name, f"{purpose} an engine", BackendError) from None
    except (ImportError, OSError) as error:
        raise BackendError(
            f"{module} is installed but does not load: {error}. Next: pip install --force-reinstall {name}"
        ) from error


class Listener:
    """Collects the errors that TensorRT writes to a log where it returns None.

    Attributes:
        errors: one line each, in order.
    """

    def __init__(self, trt: Any) -> None:  # noqa: ANN401  (the module)
        self.errors: list[str] = []
        severities = trt.ILogger.Severity

        class Logger(trt.ILogger):  # type: ignore[misc]
            def __init__(inner) -> None:  # noqa: N805
                trt.ILogger.__init__(inner)

            def log(inner, severity: Any, message: str) -> None:  # noqa: ANN401, N805
                if severity in (severities.INTERNAL_ERROR, severities.ERROR) and len(self.errors) < _KEPT_ERRORS:
                    self.errors.append(" ".join(message.split()))

        self.logger = Logger()


_listeners: dict[str, Listener] = {}


def listener(trt: Any) -> Listener:  # noqa: ANN401  (the module)
    """The one listener of this TensorRT, with no errors yet: TensorRT keeps the first logger that it was given."""
    if trt.__name__ not in _listeners:
        _listeners[trt.__name__] = Listener(trt)
    held = _listeners[trt.__name__]
    held.errors.clear()
    return held


def first_cause(errors: list[str]) -> str:
    """The error that came first: what follows it is mostly its consequence."""
    return errors[0].rstrip(".")[:400] if errors else "it gives no reason"

"""The two TensorRTs: one code path, as both are strongly typed and have the same API."""

import importlib
from dataclasses import dataclass
from typing import Any

from pixelproof.errors import BackendError, UsageError, missing_extra, unknown_name

FLAVORS = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
"""Each flavor's module."""
PORTABLE = "portable"
"""For every GPU that the flavor knows."""


@dataclass(frozen=True)
class Flavor:
    """An imported TensorRT.

    Attributes:
        name: one of `FLAVORS`.
        trt: its module.
    """

    name: str
    trt: Any

    @property
    def version(self) -> str:
        """Of the package, which is what an engine can be loaded by."""
        return str(self.trt.__version__)

    @property
    def chooses_capability(self) -> bool:
        """Whether it builds for GPUs that are not here."""
        return hasattr(self.trt, "ComputeCapability")

    def capability(self, asked: str) -> Any:  # noqa: ANN401  (a value of the module's own enumeration)
        """The compute capability `asked` for, such as "8.9"; `UsageError` for one that the flavor does not know."""
        known = {_dotted(name): getattr(self.trt.ComputeCapability, name) for name in _capability_names(self.trt)}
        if asked not in known:
            raise UsageError(
                f"{self.name} {self.version} does not build for compute capability '{asked}'; it does for "
                f"{', '.join(known)} and {PORTABLE}. Next: --compute-capability {PORTABLE}"
            )
        return known[asked]


def open_flavor(name: str, *, purpose: str) -> Flavor:
    """The TensorRT called `name`; `purpose` ("building", "running") is for the error where it is not installed.

    Raises:
        UsageError: there is none of that name.
        PixelproofError: it is not installed, or does not load.
    """
    if name not in FLAVORS:
        raise unknown_name("flavor", name, FLAVORS, "choose one with --flavor NAME")
    try:
        module = importlib.import_module(FLAVORS[name])
    except ModuleNotFoundError:
        raise missing_extra(FLAVORS[name], name, f"{purpose} an engine", BackendError) from None
    except (ImportError, OSError) as error:
        raise BackendError(
            f"{FLAVORS[name]} is installed but does not load: {error}. Next: pip install --force-reinstall {name}"
        ) from error
    return Flavor(name, module)


def _capability_names(trt: Any) -> list[str]:  # noqa: ANN401  (the module)
    names = [name for name in dir(trt.ComputeCapability) if name.startswith("SM") and name[2:].isdigit()]
    return sorted(names, key=lambda name: int(name[2:]))


def _dotted(name: str) -> str:
    return f"{name[2:-1]}.{name[-1]}"

"""The backends by name, one file each; `auto` takes the first."""

from pixelproof.errors import unknown_name
from pixelproof.runtime.backends.base import Backend, Session, TensorSpec
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

__all__ = ["BACKENDS", "Backend", "Session", "TensorSpec", "resolve_backend"]

BACKENDS: dict[str, Backend] = {"cpu": OnnxRuntimeCpu}


def resolve_backend(name: str) -> str:
    """The backend that `name` stands for ("auto" or one of `BACKENDS`); `UsageError` for any other."""
    if name == "auto":
        return next(iter(BACKENDS))
    if name not in BACKENDS:
        raise unknown_name("backend", name, ["auto", *BACKENDS], "pixelproof doctor")
    return name

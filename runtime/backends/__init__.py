"""The backends by name, one file each, the fastest first; `auto` takes the first that works."""

import functools
import logging

import numpy as np

from pixelproof.errors import PixelproofError, unknown_name
from pixelproof.runtime.backends.base import Backend, Session, TensorSpec
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu
from pixelproof.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda

__all__ = ["BACKENDS", "Backend", "Session", "TensorSpec", "fault", "resolve_backend"]

BACKENDS: dict[str, Backend] = {"cuda": OnnxRuntimeCuda, "cpu": OnnxRuntimeCpu}

# An ONNX model of one node, y = Identity(x), uint8 of shape (n,), written out because onnx may not be installed.
_IDENTITY = (
    b'\x08\x07:9\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01g'
    b"Z\x10\n\x01x\x12\x0b\n\t\x08\x02\x12\x05\n\x03\x12\x01n"
    b"b\x10\n\x01y\x12\x0b\n\t\x08\x02\x12\x05\n\x03\x12\x01nB\x04\n\x00\x10\r"
)
_log = logging.getLogger("pixelproof")


def resolve_backend(name: str) -> str:
    """The backend that `name` stands for, one of `BACKENDS`; `UsageError` for none.

    "auto" is the first that really ran a graph here; the choice is logged once, with what is wrong with the others.
    Where none works it is the last, whose error then says why.
    """
    if name == "auto":
        return _first_that_works()
    if name not in BACKENDS:
        raise unknown_name("backend", name, ["auto", *BACKENDS], "pixelproof doctor")
    return name


def fault(name: str) -> PixelproofError | None:
    """What keeps the backend from running a graph of one node; None where it runs it."""
    try:
        session = BACKENDS[name](_IDENTITY, threads=1)
        sent = np.arange(3, dtype=np.uint8)
        if not np.array_equal(session.run(sent, ["y"])[0], sent):
            return PixelproofError(f"backend '{name}' gives back other values. Next: pixelproof doctor")
    except PixelproofError as error:
        return error
    return None


@functools.cache
def _first_that_works() -> str:
    faults: list[str] = []
    for name in BACKENDS:
        found = fault(name)
        if found is None:
            passed = f" ({'; '.join(faults)})" if faults else ""
            _log.info("backend %s%s", name, passed)
            return name
        faults.append(f"{name}: {str(found).partition('. Next: ')[0]}")
    return next(reversed(BACKENDS))

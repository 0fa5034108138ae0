"""The backends by name, one file each, the fastest first; `auto` takes the first that works."""

import functools
import logging

import numpy as np

from pixelproof.errors import PixelproofError, unknown_name
from pixelproof.runtime.backends.base import Backend, Session, Source, TensorSpec
from pixelproof.runtime.backends.onnxruntime_cpu import PROVIDER, OnnxRuntimeCpu
from pixelproof.runtime.backends.onnxruntime_cuda import CUDA_PROVIDER, OnnxRuntimeCuda
from pixelproof.runtime.backends.onnxruntime_tensorrt import TENSORRT_PROVIDER, OnnxRuntimeTensorRt
from pixelproof.runtime.backends.tensorrt import check_tensorrt, open_tensorrt

__all__ = ["BACKENDS", "Backend", "Session", "Source", "TensorSpec", "check_backend", "fault", "open_session"]

# An ONNX model of one node, y = Identity(x), uint8 of shape (n,), written out because onnx may not be installed.
_IDENTITY = (
    b'\x08\x07:9\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01g'
    b"Z\x10\n\x01x\x12\x0b\n\t\x08\x02\x12\x05\n\x03\x12\x01n"
    b"b\x10\n\x01y\x12\x0b\n\t\x08\x02\x12\x05\n\x03\x12\x01nB\x04\n\x00\x10\r"
)
_log = logging.getLogger("pixelproof")


def _open_ort_tensorrt(source: Source, threads: int | None) -> Session:
    return OnnxRuntimeTensorRt(source.model, size=source.size, threads=threads)


def _open_cuda(source: Source, threads: int | None) -> Session:
    return OnnxRuntimeCuda(source.model, threads=threads, like=source.like)


def _open_cpu(source: Source, threads: int | None) -> Session:
    return OnnxRuntimeCpu(source.model, threads=threads)


def _engines(flavor: str) -> Backend:
    return Backend(
        flavor,
        functools.partial(open_tensorrt, flavor),
        functools.partial(check_tensorrt, flavor),
        runs_engines=True,
    )


BACKENDS: dict[str, Backend] = {
    "tensorrt": _engines("tensorrt"),
    "tensorrt-rtx": _engines("tensorrt-rtx"),
    # Its first session builds an engine, which takes minutes: not what one wants to be taken unasked.
    "ort-tensorrt": Backend(
        TENSORRT_PROVIDER, _open_ort_tensorrt, lambda: _runs_identity("ort-tensorrt"), automatic=False
    ),
    "cuda": Backend(CUDA_PROVIDER, _open_cuda, lambda: _runs_identity("cuda")),
    "cpu": Backend(PROVIDER, _open_cpu, lambda: _runs_identity("cpu")),
}


def check_backend(name: object) -> None:
    """`UsageError` unless `name` is "auto" or one of `BACKENDS`."""
    if name not in ("auto", *BACKENDS):  # a tuple, as a list has no hash
        raise unknown_name("backend", name, ["auto", *BACKENDS], "pixelproof doctor")


def open_session(name: str, source: Source, threads: int | None) -> tuple[str, Session]:
    """Open a graph on the backend `name`, or on the first that really runs it where that is "auto".

    The choice of "auto" is logged, once for the same choice, with what is wrong with the others. Where none works, the
    last one's error is raised.

    Returns:
        The backend's name, and the session.
    """
    check_backend(name)
    if name != "auto":
        return name, BACKENDS[name].open(source, threads)
    faults: list[str] = []
    candidates = [name for name, backend in BACKENDS.items() if backend.automatic]
    for candidate in candidates[:-1]:
        opened = _tried(candidate, source, threads)
        if not isinstance(opened, PixelproofError):
            _tell(candidate, tuple(faults))
            return candidate, opened
        faults.append(f"{candidate}: {opened.reason}")
    session = BACKENDS[candidates[-1]].open(source, threads)
    _tell(candidates[-1], tuple(faults))
    return candidates[-1], session


def fault(name: str) -> PixelproofError | None:
    """What keeps the backend from running anything here; None where it runs."""
    try:
        BACKENDS[name].check()
    except PixelproofError as error:
        return error
    return None


_kept_fault = functools.cache(fault)


def _tried(name: str, source: Source, threads: int | None) -> Session | PixelproofError:
    if error := _kept_fault(name):
        return error
    try:
        return BACKENDS[name].open(source, threads)
    except PixelproofError as error:
        return error


@functools.cache
def _tell(name: str, faults: tuple[str, ...]) -> None:
    _log.info("backend %s%s", name, f" ({'; '.join(faults)})" if faults else "")


def _runs_identity(name: str) -> None:
    session = BACKENDS[name].open(Source(_IDENTITY), 1)
    sent = np.arange(3, dtype=np.uint8)
    if not np.array_equal(session.run(sent, ["y"])[0], sent):
        raise PixelproofError(f"backend '{name}' gives back other values. Next: pixelproof doctor")

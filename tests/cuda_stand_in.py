"""PyCUDA and cuda-bindings without a GPU: memory is NumPy's, work is done or recorded at once, calls are kept."""

import ctypes
import threading
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

STREAM = 4242


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class CudaStandIn:
    """`pycuda.driver` and `cuda.bindings.driver`, strict about what a GPU would be strict about.

    Attributes:
        calls: what was asked, in order.
        capability, cuda, free, devices: of the GPU: compute capability, driver's CUDA version, free bytes, how many.
        refuse: the name of a call that fails, or "module".
    """

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.capability, self.cuda, self.free, self.devices, self.refuse = (9, 0), 13000, 1 << 34, 1, ""
        self._memory: dict[int, np.ndarray] = {}
        self._thread = threading.local()
        self._recording: list[Callable[[], None]] | None = None
        self._recordings: dict[str, list[Callable[[], None]]] = {}

    def work(self, call: Any, action: Callable[[], None] = lambda: None) -> None:
        """What a launch does: now, or, while a recording is made, whenever that is launched."""
        self.check_current()
        self.calls.append(call)
        if self._recording is None:
            action()
        else:
            self._recording.append(action)

    @property
    def is_recording(self) -> bool:
        return self._recording is not None

    @property
    def held(self) -> int:
        """Bytes that are allocated."""
        return sum(array.nbytes for array in self._memory.values())

    def check_current(self) -> None:
        """Every call needs the context on its own thread."""
        assert getattr(self._thread, "depth", 0) > 0, "no context is current on this thread"

    def pycuda(self) -> Any:
        module: Any = ModuleType("pycuda.driver")
        module.init = lambda: self.calls.append("init")
        module.Error, module.MemoryError = self.Error, self.MemoryError
        module.get_driver_version = lambda: self.cuda
        context = SimpleNamespace(push=lambda: self._enter(1), pop=lambda: self._enter(-1))
        device = SimpleNamespace(
            name=lambda: "Stand-in GPU",
            compute_capability=lambda: self.capability,
            retain_primary_context=lambda: self.calls.append("retain") or context,
        )
        module.Device = lambda _: device
        module.Device.count = lambda: self.devices  # type: ignore[attr-defined]
        module.Stream = self._stream
        module.Event = self._event
        module.mem_alloc, module.mem_get_info = self._allocate, lambda: (self.free, 1 << 35)
        module.pagelocked_empty = lambda shape, dtype: np.full(shape, 0xCD).astype(dtype)
        module.memcpy_htod_async = lambda to, values, stream: self._copy("to", to, values, stream)
        module.memcpy_dtoh_async = lambda values, at, stream: self._copy("from", at, values, stream)
        module.module_from_buffer = self._module
        return module

    def bindings(self) -> Any:
        module: Any = ModuleType("cuda.bindings.driver")
        module.CUresult = Result
        module.CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
        module.cuStreamBeginCapture = self._call("cuStreamBeginCapture", self._begin)
        module.cuStreamEndCapture = self._call("cuStreamEndCapture", self._end)
        module.cuGraphInstantiate = self._call("cuGraphInstantiate", lambda graph, _: f"executable of {graph}")
        module.cuGraphDestroy = self._call("cuGraphDestroy", lambda _: None)
        module.cuGraphLaunch = self._call("cuGraphLaunch", self._launch)
        module.cuGraphExecDestroy = self._call("cuGraphExecDestroy", lambda _: None)
        return module

    def array(self, pointer: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The memory at an address, as an array."""
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        (base,) = [at for at, held in self._memory.items() if at <= pointer and pointer + nbytes <= at + held.nbytes]
        return self._memory[base][pointer - base :][:nbytes].view(dtype).reshape(shape)

    def _enter(self, step: int) -> None:
        self.calls.append("push" if step > 0 else "pop")
        self._thread.depth = getattr(self._thread, "depth", 0) + step
        assert self._thread.depth >= 0

    def _stream(self) -> Any:
        self.check_current()
        return SimpleNamespace(handle=STREAM, synchronize=lambda: self.calls.append("synchronize"))

    def _event(self) -> Any:
        """One that passes at once; its time is how many calls there were before it."""
        event = SimpleNamespace(at=0, time_till=lambda other: float(other.at - event.at))

        def record(stream: Any) -> None:
            self.check_current()
            assert stream.handle == STREAM
            event.at = len(self.calls)

        event.record = record
        return event

    def _copy(self, way: str, pointer: int, values: np.ndarray, stream: Any) -> None:
        self.check_current()
        assert self._recording is None, "a copy while a recording is made"
        assert values.flags.c_contiguous, "PyCUDA copies contiguous arrays"
        held = self.array(pointer, (values.nbytes,), np.uint8).ctypes.data
        to, at = (held, values.ctypes.data) if way == "to" else (values.ctypes.data, held)
        ctypes.memmove(to, at, values.nbytes)
        self.calls.append((way, pointer, values.nbytes, stream.handle))

    def _begin(self, _stream: int, _mode: int) -> None:
        self._recording = []

    def _end(self, _stream: int) -> str:
        graph = f"graph {len(self._recordings)}"
        self._recordings[f"executable of {graph}"], self._recording = self._recording or [], None
        return graph

    def _launch(self, executable: str, _stream: int) -> None:
        for action in self._recordings[executable]:
            action()

    def _call(self, name: str, answer: Callable[..., Any]) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.check_current()
            self.calls.append((name, *arguments))
            given = answer(*arguments)
            return (Result(900 if name == self.refuse else 0), *([] if given is None else [given]))

        return call

    def _allocate(self, nbytes: int) -> Any:
        self.check_current()
        if nbytes > self.free:
            raise self.MemoryError("cuMemAlloc failed: out of memory")
        held = np.full(nbytes, 0xCD, np.uint8)  # as undefined as can be
        pointer = held.ctypes.data
        self._memory[pointer] = held
        self.calls.append(("allocate", nbytes))

        class Allocation(int):
            def free(inner) -> None:  # noqa: N805
                self.calls.append(("free", int(inner)))
                del self._memory[pointer]

        return Allocation(pointer)

    def _module(self, code: bytes) -> Any:
        if self.refuse == "module":
            raise self.Error("no kernel image is available for execution on the device")

        def function(name: str) -> Any:
            return lambda *values, block, grid, stream: self.work((name, values, block, grid, stream.handle))

        self.calls.append(("module", code))
        return SimpleNamespace(get_function=function)

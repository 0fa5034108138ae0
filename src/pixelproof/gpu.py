"""One NVIDIA GPU through PyCUDA: its primary context, which PyTorch and ONNX Runtime use too, and a stream of ours.

`attack` and `runtime` share it. CUDA packages are imported when a GPU is opened, and not before.
"""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pixelproof.errors import BackendError, PixelproofError, missing_extra


def open_gpu(ordinal: int = 0, *, purpose: str, instead: str) -> "Gpu":
    """The GPU with this number.

    Args:
        ordinal: as `nvidia-smi -L` counts.
        purpose: what it is for, and `instead` what does without, for the errors.

    Raises:
        PixelproofError: PyCUDA or cuda-bindings is not installed, there is no driver, or no such GPU; each with the
            command that mends it.
    """
    driver, bindings = _driver(purpose, instead), _bindings(purpose)
    count = driver.Device.count()
    if not 0 <= ordinal < count:
        raise BackendError(f"asked for GPU {ordinal}, and there are {count}. Next: nvidia-smi -L lists them")
    return Gpu(driver, bindings, ordinal)


class Gpu:
    """Memory, copies and recordings on one stream: everything happens in the order in which it was asked for.

    But for `current` and `close`, everything is to be called while the context is current.

    Attributes:
        driver: the module `pycuda.driver`.
        name: such as "NVIDIA H200".
        capability: its compute capability, such as (9, 0).
        cuda: the newest CUDA version that the installed driver knows, such as "13.0".
        stream: PyCUDA's stream; its `handle` is what others call a stream.
    """

    def __init__(self, driver: Any, bindings: Any, ordinal: int) -> None:  # noqa: ANN401  (the two modules)
        self.driver, self._bindings = driver, bindings
        device = driver.Device(ordinal)
        self.name: str = device.name()
        self.capability: tuple[int, int] = tuple(device.compute_capability())
        version = driver.get_driver_version()
        self.cuda = f"{version // 1000}.{version % 1000 // 10}"
        self._context = device.retain_primary_context()
        self._memory: list[Any] = []
        self._recordings: list[Recording] = []
        with self.current():
            self.stream: Any = driver.Stream()

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make the context the calling thread's, and give back what was its before."""
        self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def allocate(self, nbytes: int, *, purpose: str) -> int:
        """Memory's address, freed by `close`; `PixelproofError` where there is too little, saying for what."""
        try:
            memory = self.driver.mem_alloc(max(nbytes, 1))
        except self.driver.MemoryError as error:
            free, total = self.driver.mem_get_info()
            raise PixelproofError(
                f"{self.name} has {free >> 20} of {total >> 20} MiB free, and {purpose} needs {-(-nbytes >> 20)}. "
                "Next: smaller batches, or close what else runs on the GPU (nvidia-smi lists it)"
            ) from error
        self._memory.append(memory)
        return int(memory)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array in memory that the GPU reads and writes directly, which makes copies faster."""
        array: NDArray[Any] = self.driver.pagelocked_empty(shape, np.dtype(dtype))
        return array

    def copy_in(self, pointer: int, values: NDArray[Any]) -> None:
        """Begin to copy an array to the GPU; leave it as it is until `synchronize`."""
        self.driver.memcpy_htod_async(pointer, values, self.stream)

    def copy_out(self, values: NDArray[Any], pointer: int) -> None:
        """Begin to fill an array from the GPU; it is full after `synchronize`."""
        self.driver.memcpy_dtoh_async(values, pointer, self.stream)

    def event(self) -> Any:  # noqa: ANN401  (pycuda.driver.Event)
        """A mark on the stream here and now; `time_till` another gives milliseconds once both have passed."""
        event = self.driver.Event()
        event.record(self.stream)
        return event

    def synchronize(self) -> None:
        """Wait for all that was begun."""
        self.stream.synchronize()

    def record(self, work: Callable[[], None], *, remedy: str) -> "Recording":
        """What `work` begins, as one thing to begin again and again (a CUDA graph); nothing runs yet."""
        recording = Recording(self._bindings, self.stream.handle, work, remedy)
        self._recordings.append(recording)
        return recording

    def forget(self, recording: "Recording") -> None:
        """Free a recording that is not running."""
        self._recordings.remove(recording)
        recording.close()

    def close(self) -> None:
        """Wait, then free all memory; closing again does nothing."""
        if self._context is None:
            return
        with self.current():
            self.synchronize()
            for recording in self._recordings:
                recording.close()
            for memory in self._memory:
                memory.free()
            self._recordings, self._memory = [], []
        self._context = None


class Recording:
    """Launches recorded on a stream, through cuda-bindings: PyCUDA has no calls for it. Made by `Gpu.record`."""

    def __init__(self, bindings: Any, stream: int, work: Callable[[], None], remedy: str) -> None:  # noqa: ANN401
        self._cuda, self._stream, self._remedy = bindings, stream, remedy
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            self._abandon()
            raise
        graph = self._call("cuStreamEndCapture", stream)
        self._executable = self._call("cuGraphInstantiate", graph, 0)
        self._call("cuGraphDestroy", graph)

    def __call__(self) -> None:
        """Begin what was recorded."""
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free it."""
        self._call("cuGraphExecDestroy", self._executable)

    def _abandon(self) -> None:
        """End the capture of work that failed; an invalid one leaves no graph."""
        status, *graph = self._cuda.cuStreamEndCapture(self._stream)
        if status == self._cuda.CUresult.CUDA_SUCCESS:
            self._call("cuGraphDestroy", *graph)

    def _call(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401  (the driver's handles)
        status, *answer = getattr(self._cuda, name)(*arguments)
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            raise PixelproofError(f"the CUDA driver refuses {name}: {status.name}. Next: {self._remedy}")
        return answer[0] if answer else None


def _driver(purpose: str, instead: str) -> ModuleType:
    if importlib.util.find_spec("pycuda") is None:
        raise missing_extra("PyCUDA", "gpu", purpose)
    _bindings(purpose)
    try:
        driver = importlib.import_module("pycuda.driver")
        driver.init()
    except Exception as error:  # ImportError without libcuda, the driver's own errors without a GPU
        raise BackendError(
            f"PyCUDA finds no NVIDIA driver or GPU: {error}. Next: nvidia-smi shows whether there is one; "
            f"{instead} does without"
        ) from error
    return driver


def _bindings(purpose: str) -> ModuleType:
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        raise missing_extra("cuda-bindings", "gpu", purpose) from None

"""A GPU through PyCUDA: its primary context, which PyTorch and ONNX Runtime use too, and one stream of ours."""

import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.binaries import architecture_for, kernel_code
from pixelproof.attack.cuda.device import Argument, DeviceArray, Sizes
from pixelproof.attack.kernels.sources import KERNELS
from pixelproof.errors import BackendError, PixelproofError, missing_extra

BLOCK = 128  # threads; the kernels have no barriers, so that any number will do


def open_device(ordinal: int = 0) -> "PyCudaDevice":
    """The GPU with this number, its kernels loaded.

    Raises:
        PixelproofError: PyCUDA or cuda-bindings is not installed, there is no driver, no such GPU, or the GPU is too
            old; each with the command that mends it.
    """
    return PyCudaDevice(_driver(), ordinal)


class PyCudaDevice:
    """See `Device`. Made by `open_device`; `close` it, or use it in a `with`."""

    def __init__(self, driver: Any, ordinal: int) -> None:  # noqa: ANN401  (the module pycuda.driver)
        self._driver = driver
        count = driver.Device.count()
        if not 0 <= ordinal < count:
            raise BackendError(f"asked for GPU {ordinal}, and there are {count}. Next: nvidia-smi -L lists them")
        device = driver.Device(ordinal)
        self.name: str = device.name()
        architecture = architecture_for(device.compute_capability())
        self._context = device.retain_primary_context()
        self._context.push()
        try:
            self._functions = self._load(architecture)
            self._stream = driver.Stream()
        except BaseException:
            self._context.pop()
            raise
        self.stream: int = self._stream.handle
        self._memory: list[Any] = []
        self._graphs: list[_Graph] = []

    def allocate(self, nbytes: int) -> int:
        """See `Device`."""
        try:
            memory = self._driver.mem_alloc(max(nbytes, 1))
        except self._driver.MemoryError as error:
            free, total = self._driver.mem_get_info()
            raise PixelproofError(
                f"{self.name} has {free >> 20} of {total >> 20} MiB free, and an array of the attack needs "
                f"{-(-nbytes >> 20)}. Next: fewer lanes or rows"
            ) from error
        self._memory.append(memory)
        return int(memory)

    def write(self, pointer: int, values: NDArray[Any]) -> None:
        """See `Device`."""
        self._driver.memcpy_htod_async(pointer, values, self._stream)
        self._stream.synchronize()  # `values` may be gone or changed when this returns

    def read(self, pointer: int, values: NDArray[Any]) -> None:
        """See `Device`."""
        self._driver.memcpy_dtoh_async(values, pointer, self._stream)
        self._stream.synchronize()

    def launch(self, kernel: str, threads: int, arguments: Sequence[Argument]) -> None:
        """See `Device`."""
        packed = [value for argument in arguments for value in packed_argument(argument)]
        self._functions[kernel](*packed, block=(BLOCK, 1, 1), grid=(-(-threads // BLOCK), 1, 1), stream=self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """See `Device`."""
        graph = _Graph(self.stream, work)
        self._graphs.append(graph)
        return graph.launch

    def close(self) -> None:
        """See `Device`; closing again does nothing."""
        if self._context is None:
            return
        self._stream.synchronize()
        for graph in self._graphs:
            graph.close()
        for memory in self._memory:
            memory.free()
        self._functions, self._graphs, self._memory = {}, [], []
        self._context.pop()
        self._context = None

    def __enter__(self) -> "PyCudaDevice":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, architecture: str) -> dict[str, Any]:
        functions: dict[str, Any] = {}
        for source, code in kernel_code(architecture).items():
            try:
                module = self._driver.module_from_buffer(code)
            except self._driver.Error as error:
                raise BackendError(
                    f"{self.name} does not load kernel {source} for {architecture}: {error}. "
                    "Next: a driver for CUDA 13.0 or later; --attack-backend cpu does without"
                ) from error
            functions |= {name: module.get_function(name) for name in KERNELS[source]}
        return functions


class _Graph:
    """Launches recorded on a stream, through cuda-bindings: PyCUDA has no calls for it."""

    def __init__(self, stream: int, work: Callable[[], None]) -> None:
        self._cuda, self._stream = _bindings(), stream
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        finally:
            graph = self._call("cuStreamEndCapture", stream)
        self._executable = self._call("cuGraphInstantiate", graph, 0)
        self._call("cuGraphDestroy", graph)

    def launch(self) -> None:
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        self._call("cuGraphExecDestroy", self._executable)

    def _call(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401  (the driver's handles)
        status, *answer = getattr(self._cuda, name)(*arguments)
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            raise PixelproofError(
                f"the CUDA driver refuses {name}: {status.name}. Next: a network that is not recordable"
            )
        return answer[0] if answer else None


def packed_argument(argument: Argument) -> list[Any]:
    """An argument as PyCUDA packs it: scalars of the sizes that the kernels' C types have."""
    if isinstance(argument, DeviceArray):
        return [np.uintp(argument.pointer)]
    if isinstance(argument, Sizes):  # a struct of ints lies in memory as its ints do
        return [np.int32(side) for side in argument]
    return [np.float32(argument) if isinstance(argument, float) else np.int32(argument)]


def _driver() -> ModuleType:
    if importlib.util.find_spec("pycuda") is None:
        raise missing_extra("PyCUDA", "gpu", "attacking with CUDA kernels")
    _bindings()
    try:
        driver = importlib.import_module("pycuda.driver")
        driver.init()
    except Exception as error:  # ImportError without libcuda, the driver's own errors without a GPU
        raise BackendError(
            f"PyCUDA finds no NVIDIA driver or GPU: {error}. Next: nvidia-smi shows whether there is one; "
            "--attack-backend cpu does without"
        ) from error
    return driver


def _bindings() -> ModuleType:
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        raise missing_extra("cuda-bindings", "gpu", "attacking with CUDA kernels") from None

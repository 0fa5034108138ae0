"""A GPU for searches: memory, launches of the kernels of `attack/kernels`, and replays of recorded launches."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pixelproof.attack.cuda.binaries import architecture_for, kernel_code
from pixelproof.attack.kernels.sources import KERNELS
from pixelproof.errors import BackendError
from pixelproof.gpu import Gpu, open_gpu

BLOCK = 128  # threads; the kernels have no barriers, so that any number will do


class Sizes(NamedTuple):
    """`Sizes` of `kernels/table.cuh`: five C ints, in this order."""

    lanes: int
    size: int
    pixels: int
    height: int
    width: int


@dataclass(frozen=True)
class DeviceArray:
    """An array in the device's memory, C-contiguous."""

    device: "Device"
    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, index: int) -> "DeviceArray":
        """The part at `index` of the first axis; it shares the memory."""
        part = replace(self, shape=self.shape[1:])
        return replace(part, pointer=self.pointer + index * part.nbytes)

    def write(self, values: Any) -> None:  # noqa: ANN401  (whatever NumPy makes an array of)
        """Copy `values`, of the same shape, to the device, after all that was launched before."""
        self.device.write(self.pointer, np.ascontiguousarray(np.broadcast_to(values, self.shape), self.dtype))

    def read(self) -> NDArray[Any]:
        """A copy, once all that was launched before is done."""
        values: NDArray[Any] = np.empty(self.shape, self.dtype)
        self.device.read(self.pointer, values)
        return values


Argument = DeviceArray | Sizes | int | float
"""Of a kernel: a pointer, five C ints, a C int, a C float."""


class Device(Protocol):
    """One GPU, one stream: everything happens in the order in which it was asked for."""

    name: str
    stream: int
    """The stream's handle, for the network that works on it."""

    def allocate(self, nbytes: int) -> int:
        """Memory's address; `PixelproofError` where there is too little."""

    def write(self, pointer: int, values: NDArray[Any]) -> None:
        """Copy an array to the device."""

    def read(self, pointer: int, values: NDArray[Any]) -> None:
        """Wait, and fill an array from the device."""

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """Copy memory of the device; does not wait."""

    def launch(self, kernel: str, threads: int, arguments: Sequence[Argument]) -> None:
        """Launch so many threads of a kernel of `attack/kernels`, or a few more."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """What `work` launches, as one thing to launch again and again (a CUDA graph); nothing runs yet."""

    def close(self) -> None:
        """Free all memory."""


def device_array(
    device: Device,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    values: Any = None,  # noqa: ANN401  (as for `DeviceArray.write`)
) -> DeviceArray:
    """A new array with these `values`; without any, its content is undefined."""
    kind: np.dtype[Any] = np.dtype(dtype)
    array = DeviceArray(device, device.allocate(int(np.prod(shape)) * kind.itemsize), shape, kind)
    if values is not None:
        array.write(values)
    return array


def open_device(ordinal: int = 0) -> "PyCudaDevice":
    """The GPU with this number, its kernels loaded.

    Raises:
        PixelproofError: PyCUDA or cuda-bindings is not installed, there is no driver, no such GPU, or the GPU is too
            old; each with the command that mends it.
    """
    return PyCudaDevice(open_gpu(ordinal, purpose="attacking with CUDA kernels", instead="--attack-backend cpu"))


class PyCudaDevice:
    """See `Device`. Made by `open_device`; `close` it, or use it in a `with`; its context is current until then."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu, self.name = gpu, gpu.name
        self.stream: int = gpu.stream.handle
        self._held = contextlib.ExitStack()
        self._held.callback(gpu.close)
        self._held.enter_context(gpu.current())
        try:
            self._functions = self._load(architecture_for(gpu.capability))
        except BaseException:
            self._held.close()
            raise

    def allocate(self, nbytes: int) -> int:
        """See `Device`."""
        return self._gpu.allocate(nbytes, purpose="an array of the attack")

    def write(self, pointer: int, values: NDArray[Any]) -> None:
        """See `Device`."""
        self._gpu.copy_in(pointer, values)
        self._gpu.synchronize()  # `values` may be gone or changed when this returns

    def read(self, pointer: int, values: NDArray[Any]) -> None:
        """See `Device`."""
        self._gpu.copy_out(values, pointer)
        self._gpu.synchronize()

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """See `Device`."""
        self._gpu.driver.memcpy_dtod_async(to, source, nbytes, self._gpu.stream)

    def launch(self, kernel: str, threads: int, arguments: Sequence[Argument]) -> None:
        """See `Device`."""
        packed = [value for argument in arguments for value in packed_argument(argument)]
        grid = (-(-threads // BLOCK), 1, 1)
        self._functions[kernel](*packed, block=(BLOCK, 1, 1), grid=grid, stream=self._gpu.stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """See `Device`."""
        return self._gpu.record(work, remedy="a network that is not recordable")

    def close(self) -> None:
        """See `Device`; closing again does nothing."""
        self._functions = {}
        self._held.close()

    def __enter__(self) -> "PyCudaDevice":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, architecture: str) -> dict[str, Any]:
        functions: dict[str, Any] = {}
        for source, code in kernel_code(architecture).items():
            try:
                module = self._gpu.driver.module_from_buffer(code)
            except self._gpu.driver.Error as error:
                raise BackendError(
                    f"{self.name} does not load kernel {source} for {architecture}: {error}. "
                    "Next: a driver for CUDA 13.0 or later; --attack-backend cpu does without"
                ) from error
            functions |= {name: module.get_function(name) for name in KERNELS[source]}
        return functions


def packed_argument(argument: Argument) -> list[Any]:
    """An argument as PyCUDA packs it: scalars of the sizes that the kernels' C types have."""
    if isinstance(argument, DeviceArray):
        return [np.uintp(argument.pointer)]
    if isinstance(argument, Sizes):  # a struct of ints lies in memory as its ints do
        return [np.int32(side) for side in argument]
    return [np.float32(argument) if isinstance(argument, float) else np.int32(argument)]

"""What the search asks of a device: memory, launches of the kernels, and replays of recorded launches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray


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
        """The part at `index` of the first axis; the memory is shared."""
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


def device_array(device: Device, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
    """A new array of the given shape; what is in it is not defined."""
    kind: np.dtype[Any] = np.dtype(dtype)
    return DeviceArray(device, device.allocate(int(np.prod(shape)) * kind.itemsize), shape, kind)

"""A stand-in for the GPU: memory is NumPy's, kernels are those that g++ made, and every call is written down."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Argument, DeviceArray, Sizes
from pixelproof.errors import PixelproofError


class CSizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in Sizes._fields]


@dataclass
class StandIn:
    """See `Device`.

    Attributes:
        calls: what was asked, in order: the name, and bytes or threads.
        limit: bytes that there are.
        block, backwards: threads of a block, and whether they run from the last to the first.
    """

    library: ctypes.CDLL
    name: str = "stand-in"
    stream: int = 77
    limit: int = 1 << 30
    block: int = 32
    backwards: bool = False
    calls: list[tuple[str, int]] = field(default_factory=list)
    memory: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    recording: bool = False

    def allocate(self, nbytes: int) -> int:
        if sum(array.nbytes for array in self.memory.values()) + nbytes > self.limit:
            raise PixelproofError("too little memory")
        array = np.full(nbytes, 0xCD, np.uint8)  # as undefined as can be
        self.memory[array.ctypes.data] = array
        self.calls.append(("allocate", nbytes))
        return array.ctypes.data

    def write(self, pointer: int, values: NDArray[Any]) -> None:
        assert not self.recording
        ctypes.memmove(self._checked(pointer, values.nbytes), values.ctypes.data, values.nbytes)
        self.calls.append(("write", values.nbytes))

    def read(self, pointer: int, values: NDArray[Any]) -> None:
        assert not self.recording
        ctypes.memmove(values.ctypes.data, self._checked(pointer, values.nbytes), values.nbytes)
        self.calls.append(("read", values.nbytes))

    def copy(self, to: int, source: int, nbytes: int) -> None:
        ctypes.memmove(self._checked(to, nbytes), self._checked(source, nbytes), nbytes)
        self.calls.append(("copy", nbytes))

    def launch(self, kernel: str, threads: int, arguments: Sequence[Argument]) -> None:
        self.calls.append((kernel, threads))
        if not self.recording:
            self._run(kernel, threads, arguments)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recording = True
        work()
        self.recording = False
        self.calls.append(("record", 0))

        def replay() -> None:
            self.calls.append(("replay", 0))
            work()

        return replay

    def close(self) -> None:
        self.memory.clear()

    def array(self, array: DeviceArray) -> NDArray[Any]:
        """The memory of an array itself."""
        (base,) = [start for start, held in self.memory.items() if start <= array.pointer < start + held.nbytes]
        begin = array.pointer - base
        return self.memory[base][begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)

    def _checked(self, pointer: int, nbytes: int) -> int:
        assert any(start <= pointer and pointer + nbytes <= start + held.nbytes for start, held in self.memory.items())
        return pointer

    def _run(self, kernel: str, threads: int, arguments: Sequence[Argument]) -> None:
        cells = [_cell(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
        getattr(self.library, f"launch_{kernel}")(-(-threads // self.block), self.block, int(self.backwards), pointers)


def _cell(argument: Argument) -> Any:
    if isinstance(argument, DeviceArray):
        return ctypes.c_void_p(argument.pointer)
    if isinstance(argument, Sizes):
        return CSizes(*argument)
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_int(argument)


class StandInNetwork:
    """A NumPy classifier on the stand-in's memory."""

    def __init__(self, device: StandIn, predict: Callable[..., Any], classes: int, *, recordable: bool) -> None:
        self.device, self.predict, self.classes, self.recordable = device, predict, classes, recordable
        self.runs, self.most_rows, self.description = 0, None, "StandIn"

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        assert stream == self.device.stream
        self.batch, self.probabilities = batch, probabilities

    def enqueue(self) -> None:
        self.device.calls.append(("network", self.batch.shape[0]))
        if not self.device.recording:
            self.runs += 1
            self.device.array(self.probabilities)[...] = self.predict(self.device.array(self.batch).copy())


@pytest.fixture
def device(library: ctypes.CDLL) -> StandIn:
    return StandIn(library)


@pytest.fixture
def make_device_network() -> Callable[..., StandInNetwork]:
    """`make_device_network(device, predict, classes=4, recordable=True)`."""
    return lambda device, predict, classes=4, recordable=True: StandInNetwork(
        device, predict, classes, recordable=recordable
    )

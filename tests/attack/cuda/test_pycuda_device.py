"""What PyCUDA and cuda-bindings are asked, and what is made of their refusals; both are stand-ins."""

import sys
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pixelproof.attack.cuda import pycuda_device
from pixelproof.attack.cuda.device import Sizes, device_array
from pixelproof.attack.kernels.sources import KERNELS
from pixelproof.errors import BackendError, PixelproofError


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class FakeCuda:
    """`pycuda.driver` and `cuda.bindings.driver`, writing down what they are asked."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.capability, self.free, self.devices, self.refuse = (9, 0), 1 << 34, 1, ""
        self.bytes_of: dict[int, np.ndarray] = {}

    def pycuda(self) -> Any:
        module: Any = ModuleType("pycuda.driver")
        context = SimpleNamespace(push=lambda: self.calls.append("push"), pop=lambda: self.calls.append("pop"))
        module.init = lambda: self.calls.append("init")
        module.Error, module.MemoryError = self.Error, self.MemoryError
        device = SimpleNamespace(
            name=lambda: "Stand-in GPU",
            compute_capability=lambda: self.capability,
            retain_primary_context=lambda: self.calls.append("retain") or context,
        )
        module.Device = lambda _: device
        module.Device.count = lambda: self.devices  # type: ignore[attr-defined]
        module.Stream = lambda: SimpleNamespace(handle=4242, synchronize=lambda: self.calls.append("synchronize"))
        module.mem_alloc, module.mem_get_info = self._allocate, lambda: (self.free, 1 << 35)
        module.memcpy_htod_async = lambda to, values, stream: self.calls.append(
            ("to", to, values.nbytes, stream.handle)
        )
        module.memcpy_dtoh_async = lambda values, at, stream: self.calls.append(
            ("from", at, values.nbytes, stream.handle)
        )
        module.module_from_buffer = self._module
        return module

    def bindings(self) -> Any:
        module: Any = ModuleType("cuda.bindings.driver")
        module.CUresult = Result
        module.CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
        answers = {"cuStreamEndCapture": ("graph",), "cuGraphInstantiate": ("executable",)}
        for name in ("cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy"):
            setattr(module, name, self._call(name, answers.get(name, ())))
        for name in ("cuGraphLaunch", "cuGraphExecDestroy"):
            setattr(module, name, self._call(name, ()))
        return module

    def _call(self, name: str, answer: tuple[Any, ...]) -> Any:
        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, *arguments))
            return (Result(900 if name == self.refuse else 0), *answer)

        return call

    def _allocate(self, nbytes: int) -> Any:
        if nbytes > self.free:
            raise self.MemoryError("cuMemAlloc failed: out of memory")
        pointer = 1000 * (len(self.calls) + 1)
        self.calls.append(("allocate", nbytes))

        class Allocation(int):
            def free(inner) -> None:  # noqa: N805
                self.calls.append(("free", int(inner)))

        return Allocation(pointer)

    def _module(self, code: bytes) -> Any:
        if self.refuse == "module":
            raise self.Error("no kernel image is available for execution on the device")

        def function(name: str) -> Any:
            return lambda *values, block, grid, stream: self.calls.append((name, values, block, grid, stream.handle))

        self.calls.append(("module", code))
        return SimpleNamespace(get_function=function)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    package: Any = ModuleType("pycuda")
    package.__spec__ = SimpleNamespace(name="pycuda")
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", fake.pycuda())
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", fake.bindings())
    monkeypatch.setattr(
        pycuda_device, "kernel_code", lambda name: {source: f"{source} {name}".encode() for source in KERNELS}
    )
    return fake


def test_the_primary_context_is_taken_and_given_back(cuda: FakeCuda):
    with pycuda_device.open_device() as device:
        assert (device.name, device.stream) == ("Stand-in GPU", 4242)
        assert cuda.calls[:3] == ["init", "retain", "push"]
        assert cuda.calls[3:] == [("module", f"{source} sm_90".encode()) for source in KERNELS]
        pointer = device.allocate(64)
    assert cuda.calls[-3:] == ["synchronize", ("free", pointer), "pop"]
    device.close()
    assert cuda.calls.count("pop") == 1


def test_copies_name_their_bytes_and_wait(cuda: FakeCuda):
    device = pycuda_device.open_device()
    array = device_array(device, (3, 5), np.int32)
    assert cuda.calls[-1] == ("allocate", 60)
    array.write(7)
    assert cuda.calls[-2:] == [("to", array.pointer, 60, 4242), "synchronize"]
    assert array[2].read().shape == (5,)
    assert cuda.calls[-2:] == [("from", array.pointer + 40, 20, 4242), "synchronize"]


def test_a_launch_covers_all_threads_and_packs_c_types(cuda: FakeCuda):
    device = pycuda_device.open_device()
    array = device_array(device, (2,), np.float32)
    device.launch("advance_lanes", 129, (array, 0.5, 3, Sizes(1, 2, 3, 4, 5)))
    name, values, block, grid, stream = cuda.calls[-1]
    assert (name, block, grid, stream) == ("advance_lanes", (128, 1, 1), (2, 1, 1), 4242)
    assert [(type(value), value) for value in values] == [
        (np.uint64, array.pointer),
        (np.float32, 0.5),
        (np.int32, 3),
        *((np.int32, side) for side in (1, 2, 3, 4, 5)),
    ]


def test_a_recording_is_made_once_and_launched_often(cuda: FakeCuda):
    device = pycuda_device.open_device()
    start = len(cuda.calls)
    replay = device.record(lambda: device.launch("advance_lanes", 1, (1,)))
    replay()
    replay()
    names = [call[0] for call in cuda.calls[start:]]
    begun = ["cuStreamBeginCapture", "advance_lanes", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy"]
    assert names == [*begun, "cuGraphLaunch", "cuGraphLaunch"]
    assert cuda.calls[start] == ("cuStreamBeginCapture", 4242, 1)
    assert cuda.calls[-1] == ("cuGraphLaunch", "executable", 4242)
    device.close()
    assert ("cuGraphExecDestroy", "executable") in cuda.calls


def test_a_failing_recording_is_ended(cuda: FakeCuda):
    device = pycuda_device.open_device()
    cuda.refuse = "cuGraphInstantiate"
    with pytest.raises(PixelproofError, match=r"refuses cuGraphInstantiate: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"):
        device.record(lambda: None)
    assert ("cuStreamEndCapture", 4242) in cuda.calls


def test_too_little_memory_is_told_in_mebibytes(cuda: FakeCuda):
    device = pycuda_device.open_device()
    cuda.free = 3 << 20
    with pytest.raises(
        PixelproofError, match=r"has 3 of 32768 MiB free, and an array of the attack needs 5\. Next: fewer"
    ):
        device.allocate(5 << 20)


def test_an_unknown_gpu_is_told(cuda: FakeCuda):
    with pytest.raises(BackendError, match="asked for GPU 1, and there are 1"):
        pycuda_device.open_device(1)


def test_a_kernel_that_does_not_load_gives_the_context_back(cuda: FakeCuda):
    cuda.refuse = "module"
    with pytest.raises(BackendError, match=r"does not load kernel propose\.cu for sm_90: no kernel image"):
        pycuda_device.open_device()
    assert cuda.calls[-1] == "pop"


def test_a_gpu_that_is_too_old_is_told(cuda: FakeCuda):
    cuda.capability = (6, 1)
    with pytest.raises(BackendError, match=r"compute capability 6\.1"):
        pycuda_device.open_device()
    assert "retain" not in cuda.calls


def test_without_pycuda_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        PixelproofError, match=r"needs PyCUDA, which is not installed\. Next: pip install 'pixelproof\[gpu\]'"
    ):
        pycuda_device.open_device()


def test_without_a_driver_it_says_so(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(sys.modules["pycuda.driver"], "init", refuse)
    with pytest.raises(BackendError, match=r"finds no NVIDIA driver or GPU: libcuda\.so\.1.*--attack-backend cpu"):
        pycuda_device.open_device()

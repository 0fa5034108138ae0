"""What PyCUDA and cuda-bindings are asked, and what is made of their refusals; both are stand-ins."""

import sys
from typing import Any

import numpy as np
import pytest

from pixelproof.attack.cuda import device as device_module
from pixelproof.attack.cuda.device import Sizes, device_array
from pixelproof.attack.kernels.sources import KERNELS
from pixelproof.errors import BackendError, PixelproofError


@pytest.fixture
def cuda(cuda_stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        device_module, "kernel_code", lambda name: {source: f"{source} {name}".encode() for source in KERNELS}
    )
    return cuda_stand_in


def test_the_primary_context_is_taken_and_given_back(cuda: Any):
    with device_module.open_device() as device:
        assert (device.name, device.stream) == ("Stand-in GPU", 4242)
        assert cuda.calls[:5] == ["init", "retain", "push", "pop", "push"]
        assert cuda.calls[5:] == [("module", f"{source} sm_90".encode()) for source in KERNELS]
        pointer = device.allocate(64)
    assert cuda.calls[-5:] == ["pop", "push", "synchronize", ("free", pointer), "pop"]
    device.close()
    assert cuda.calls.count("pop") == cuda.calls.count("push") == 3


def test_copies_name_their_bytes_and_wait(cuda: Any):
    device = device_module.open_device()
    array = device_array(device, (3, 5), np.int32)
    assert cuda.calls[-1] == ("allocate", 60)
    array.write(7)
    assert cuda.calls[-2:] == [("to", array.pointer, 60, 4242), "synchronize"]
    assert array[2].read().shape == (5,)
    assert cuda.calls[-2:] == [("from", array.pointer + 40, 20, 4242), "synchronize"]


def test_a_launch_covers_all_threads_and_packs_c_types(cuda: Any):
    device = device_module.open_device()
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


def test_a_recording_is_made_once_and_launched_often(cuda: Any):
    device = device_module.open_device()
    start = len(cuda.calls)
    replay = device.record(lambda: device.launch("advance_lanes", 1, (1,)))
    replay()
    replay()
    names = [call[0] for call in cuda.calls[start:]]
    begun = ["cuStreamBeginCapture", "advance_lanes", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy"]
    assert names == [*begun, "cuGraphLaunch", "cuGraphLaunch"]
    assert cuda.calls[start] == ("cuStreamBeginCapture", 4242, 1)
    assert cuda.calls[-1] == ("cuGraphLaunch", "executable of graph 0", 4242)
    device.close()
    assert ("cuGraphExecDestroy", "executable of graph 0") in cuda.calls


def test_a_failing_recording_is_ended(cuda: Any):
    device = device_module.open_device()
    cuda.refuse = "cuGraphInstantiate"
    with pytest.raises(PixelproofError, match=r"refuses cuGraphInstantiate: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"):
        device.record(lambda: None)
    assert ("cuStreamEndCapture", 4242) in cuda.calls


def test_too_little_memory_is_told_in_mebibytes(cuda: Any):
    device = device_module.open_device()
    cuda.free = 3 << 20
    with pytest.raises(
        PixelproofError, match=r"has 3 of 32768 MiB free, and an array of the attack needs 5\. Next: smaller"
    ):
        device.allocate(5 << 20)


def test_an_unknown_gpu_is_told(cuda: Any):
    with pytest.raises(BackendError, match="asked for GPU 1, and there are 1"):
        device_module.open_device(1)


def test_a_kernel_that_does_not_load_gives_the_context_back(cuda: Any):
    cuda.refuse = "module"
    with pytest.raises(BackendError, match=r"does not load kernel propose\.cu for sm_90: no kernel image"):
        device_module.open_device()
    assert cuda.calls[-1] == "pop"


def test_a_gpu_that_is_too_old_is_told(cuda: Any):
    cuda.capability = (6, 1)
    with pytest.raises(BackendError, match=r"compute capability 6\.1"):
        device_module.open_device()
    assert cuda.calls[-1] == "pop"


def test_without_pycuda_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        PixelproofError, match=r"needs PyCUDA, which is not installed\. Next: .*pip install 'pixelproof\[gpu\]'"
    ):
        device_module.open_device()


def test_without_a_driver_it_says_so(cuda: Any, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(sys.modules["pycuda.driver"], "init", refuse)
    with pytest.raises(BackendError, match=r"finds no NVIDIA driver or GPU: libcuda\.so\.1.*--attack-backend cpu"):
        device_module.open_device()

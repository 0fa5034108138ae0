"""TensorRT and ONNX Runtime as networks in the search's memory, both standing on stand-ins."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from cuda_stand_in import STREAM, CudaStandIn
from tensorrt_stand_in import TensorRt, engine_bytes

from pixelproof.attack.cuda import OnnxRuntimeNetwork, TensorRtNetwork, open_device
from pixelproof.attack.cuda.device import DeviceArray, PyCudaDevice, device_array
from pixelproof.attack.kernels.sources import KERNELS
from pixelproof.errors import BackendError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends import fault
from pixelproof.runtime.onnx_bytes import keep_outputs

ROWS = 5
real = onnxruntime.InferenceSession


@pytest.fixture
def device(cuda_stand_in: CudaStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[PyCudaDevice]:
    monkeypatch.setattr("pixelproof.attack.cuda.device.kernel_code", lambda _: dict.fromkeys(KERNELS, b""))
    with open_device() as opened:
        yield opened


@pytest.fixture
def graph(make_bundle: Callable[..., Path]) -> bytes:
    return (make_bundle() / "pipeline.onnx").read_bytes()


def bound(device: PyCudaDevice, network: Any) -> tuple[DeviceArray, DeviceArray]:
    batch = device_array(device, (ROWS, 4, 6, 3), np.uint8)
    batch.write(0)
    probabilities = device_array(device, (ROWS, network.classes), np.float32)
    network.bind(batch, probabilities, device.stream)
    return batch, probabilities


def draws(count: int) -> Iterator[np.ndarray]:
    for seed in range(count):
        yield np.random.default_rng(seed).integers(0, 256, (ROWS, 4, 6, 3), np.uint8)


def expected(graph: bytes, images: np.ndarray) -> np.ndarray:
    session = real(graph, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


def engine(cuda: CudaStandIn, graph: bytes, largest: int = 8) -> Any:
    trt = TensorRt(cuda)
    module = trt.module("tensorrt", "10.16.1")
    engine = module.Runtime(module.Logger()).deserialize_cuda_engine(engine_bytes(graph, (1, 4, largest)))
    engine.create_execution_context = lambda: engine_context(engine)
    return engine


def engine_context(engine: Any) -> Any:
    from tensorrt_stand_in import Context

    context = Context(engine)
    context.set_device_memory(1, engine.device_memory_size_v2)  # TensorRT's own, without USER_MANAGED
    return context


def test_an_engine_reads_and_writes_the_searchs_memory(device, cuda_stand_in: CudaStandIn, graph: bytes):
    network = TensorRtNetwork(engine(cuda_stand_in, graph), classes=3)
    assert network.most_rows == 8
    batch, probabilities = bound(device, network)
    assert network.recordable
    for images in draws(2):
        batch.write(images)
        network.enqueue()
        np.testing.assert_array_equal(probabilities.read(), expected(graph, images))
    replay = device.record(network.enqueue)
    for images in draws(3):
        batch.write(images)
        replay()
        np.testing.assert_array_equal(probabilities.read(), expected(graph, images))


def test_a_batch_beyond_the_profile_is_told(device, cuda_stand_in: CudaStandIn, graph: bytes):
    network = TensorRtNetwork(engine(cuda_stand_in, graph, largest=4), classes=3)
    with pytest.raises(BackendError, match=r"takes no batch of 5 candidates\. Next: .* --profile 1,64,5"):
        bound(device, network)


class Session:
    """ONNX Runtime's session on CUDA, on the stand-in's memory."""

    runs = "CUDAExecutionProvider"

    def __init__(self, model: bytes, options: Any, providers: list[Any], enable_fallback: int) -> None:
        assert not enable_fallback
        self.session = real(model, providers=["CPUExecutionProvider"])
        ((_, self.settings),) = providers
        assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"

    def get_providers(self) -> list[str]:
        return [self.runs]

    def io_binding(self) -> Any:
        at: dict[str, Any] = {}

        def bind(name: str, kind: str, ordinal: int, dtype: Any, shape: list[int], pointer: int) -> None:
            assert (kind, ordinal) == ("cuda", 0)
            at[name] = (pointer, tuple(shape), dtype)

        return SimpleNamespace(bind_input=bind, bind_output=bind, at=at)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        assert options.get_run_config_entry("disable_synchronize_execution_providers") == "1"
        cuda = sys.modules["pycuda.driver"].stand_in
        images = cuda.array(*binding.at["images"])
        cuda.array(*binding.at["probabilities"])[...] = self.session.run(["probabilities"], {"images": images})[0]


def test_onnx_runtime_reads_and_writes_the_searchs_memory(device, cuda_stand_in, graph: bytes, monkeypatch):
    monkeypatch.setattr(sys.modules["pycuda.driver"], "stand_in", cuda_stand_in, raising=False)
    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    network = OnnxRuntimeNetwork(graph, classes=3)
    batch, probabilities = bound(device, network)
    assert network._session.settings == {"user_compute_stream": str(STREAM), "use_tf32": "0"}
    for images in draws(3):
        batch.write(images)
        network.enqueue()
        np.testing.assert_array_equal(probabilities.read(), expected(graph, images))


def test_a_session_that_fell_back_to_the_cpu_is_an_error(device, graph: bytes, monkeypatch):
    monkeypatch.setattr(Session, "runs", "CPUExecutionProvider")
    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(BackendError, match="ONNX Runtime has no CUDAExecutionProvider that works"):
        bound(device, OnnxRuntimeNetwork(graph, classes=3))


def test_onnx_runtime_without_cuda_is_an_error(device, graph: bytes):
    with pytest.raises(BackendError, match="ONNX Runtime has no CUDAExecutionProvider that works"):
        bound(device, OnnxRuntimeNetwork(graph, classes=3))


@pytest.mark.gpu
def test_onnx_runtime_reads_and_writes_the_searchs_memory_on_a_gpu(lenet_median_bundle: Path):
    if (why := fault("cuda")) is not None:
        pytest.skip(why.reason)
    images = sample().images[:7]
    with Pipeline(lenet_median_bundle, backend="cpu") as pipeline, open_device() as gpu:
        network = OnnxRuntimeNetwork(keep_outputs(pipeline.graph, {"probabilities"}), classes=10)
        batch = device_array(gpu, images.shape, np.uint8)
        probabilities = device_array(gpu, (len(images), 10), np.float32)
        network.bind(batch, probabilities, gpu.stream)
        for shown in (images, images[::-1], 255 - images):
            batch.write(np.ascontiguousarray(shown))
            network.enqueue()
            np.testing.assert_allclose(probabilities.read(), pipeline.predict(shown), atol=1e-4)

"""TensorRT without a GPU: an engine holds its profile and its ONNX graph, which ONNX Runtime runs on NumPy's memory."""

import hashlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from cuda_stand_in import STREAM, CudaStandIn

MAGIC = b"stand-in engine "


def engine_bytes(graph: bytes, profile: tuple[int, int, int]) -> bytes:
    """An engine as the stand-in reads it."""
    return MAGIC + json.dumps(profile).encode() + b"\n" + graph


def add_engine(
    folder: Path, *, name: str = "pipeline.tensorrt.9.0.engine", content: bytes | None = None, **sidecar: Any
) -> None:
    """Put an engine into the bundle in `folder`; `sidecar` replaces what is noted of it."""
    graph = (folder / f"{name.partition('.')[0]}.onnx").read_bytes()
    content = engine_bytes(graph, (2, 4, 6)) if content is None else content
    digest = hashlib.sha256(content).hexdigest()
    noted = {
        "flavour": "tensorrt",
        "version": "10.16.1",
        "compute_capability": "9.0",
        "gpu": "Stand-in GPU",
        "driver_cuda": "13.0",
        "profile": [2, 4, 6],
        "precision": "fp32",
        "onnx_sha256": hashlib.sha256(graph).hexdigest(),
        "engine_sha256": digest,
        "nbytes": len(content),
        "built": "2026-01-31T12:00:00+00:00",
    }
    (folder / "engines").mkdir(exist_ok=True)
    (folder / "engines" / name).write_bytes(content)
    (folder / "engines" / name.replace(".engine", ".json")).write_text(json.dumps({**noted, **sidecar}))
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["engines"] = {**manifest.get("engines", {}), name: digest}
    (folder / "bundle.json").write_text(json.dumps(manifest))


class Logger:
    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3)


class Context:
    """An execution context, strict about what TensorRT leaves to its user."""

    def __init__(self, engine: "Engine") -> None:
        self._engine, self._addresses = engine, dict[str, int]()
        self._rows, self._scratch, self._enqueued = 0, 0, False

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "images"
        smallest, _, largest = self._engine.profile
        self._rows, self._enqueued = shape[0], False
        return smallest <= shape[0] <= largest and tuple(shape[1:]) == tuple(self._engine.get_tensor_shape(name)[1:])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._rows, *self._engine.get_tensor_shape(name)[1:])

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= self._engine.device_memory_size_v2
        self._scratch = memory

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return stream == STREAM and self._engine.capturable

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == STREAM
        assert self._scratch
        assert set(self._addresses) == {tensor.name for tensor in self._engine.tensors}, "a tensor without memory"
        if self._engine.refuses:
            return False
        assert self._enqueued or not self._engine.cuda.is_recording, "recorded before its first run"
        if self._engine.cuda.is_recording and not self._engine.capturable:
            return False
        rows = self._rows
        self._engine.cuda.work(("enqueue", rows), lambda: self._run(rows))
        self._enqueued = True
        return True

    def _run(self, rows: int) -> None:
        assert rows == self._rows, "a recording outlived its shape"
        given, *made = self._engine.tensors
        session, cuda = self._engine.session, self._engine.cuda
        images = cuda.array(self._addresses[given.name], (rows, *given.shape[1:]), np.uint8)
        for tensor, values in zip(made, session.run([tensor.name for tensor in made], {"images": images}), strict=True):
            cuda.array(self._addresses[tensor.name], values.shape, values.dtype)[...] = values


class Engine:
    device_memory_size_v2 = 512

    def __init__(self, cuda: CudaStandIn, trt: "TensorRt", content: bytes) -> None:
        profile, _, graph = content.removeprefix(MAGIC).partition(b"\n")
        self.cuda, self.profile = cuda, tuple(json.loads(profile))
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
        self._trt, self.num_io_tensors = trt, len(self.tensors)

    @property
    def capturable(self) -> bool:
        return self._trt.capturable

    @property
    def refuses(self) -> bool:
        return self._trt.refuses

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index].name

    def get_tensor_dtype(self, name: str) -> str:
        return self._tensor(name).type

    def get_tensor_mode(self, name: str) -> int:
        return 0 if name == "images" else 1

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self._tensor(name).shape[1:])

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert profile_index == 0
        return [(batch, *self._tensor(name).shape[1:]) for batch in self.profile]

    def create_execution_context(self, strategy: str) -> Context:
        assert strategy == "user managed"
        return Context(self)

    def _tensor(self, name: str) -> Any:
        return next(tensor for tensor in self.tensors if tensor.name == name)


class TensorRt:
    """What becomes the module `tensorrt`.

    Attributes:
        loads: how many engines it was given.
        capturable: whether launches can be recorded; `refuses`: whether they fail.
    """

    def __init__(self, cuda: CudaStandIn) -> None:
        self._cuda, self.loads, self.capturable, self.refuses = cuda, 0, True, False

    def module(self, name: str, version: str) -> Any:
        module: Any = ModuleType(name)
        module.__version__ = version
        module.ILogger = Logger
        module.Logger = Logger
        module.Logger.__init__ = lambda self: None
        module.TensorIOMode = SimpleNamespace(INPUT=0, OUTPUT=1)
        module.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
        types = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(int64)": np.int64}
        module.nptype = types.__getitem__
        module.Runtime = lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda content: self._load(logger, content)
        )
        return module

    def _load(self, logger: Any, content: bytes) -> Engine | None:
        self.loads += 1
        self._cuda.check_current()
        if not content.startswith(MAGIC):
            logger.log(Logger.Severity.ERROR, "the magic tag does not match")
            logger.log(Logger.Severity.ERROR, "engine deserialization failed")
            return None
        return Engine(self._cuda, self, content)

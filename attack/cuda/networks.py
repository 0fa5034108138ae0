"""Networks on a device: what a search asks of one, and ONNX Runtime, TensorRT, and PyTorch as such."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pixelproof.attack.cuda.device import DeviceArray, device_array
from pixelproof.errors import BackendError

if TYPE_CHECKING:
    from torch import Tensor

_PROVIDER = "CUDAExecutionProvider"
_DOCTOR = "Next: pixelproof doctor, or --attack-backend cpu"


class DeviceNetwork(Protocol):
    """A classifier that reads its batch from the device's memory and leaves its probabilities there."""

    classes: int
    """Probabilities a row."""
    description: str
    """What runs it, and how precisely, for records."""
    recordable: bool
    """What `enqueue` launches may be recorded with what is launched around it, and replayed without it."""
    most_rows: int | None
    """Candidates a batch at most; None: any number."""

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """Work from now on with these: uint8 `(rows, H, W, 3)`, float32 `(rows, classes)`, on this stream."""

    def enqueue(self) -> None:
        """Launch the network on the stream; does not wait for it."""


class OnnxRuntimeNetwork:
    """A graph that reads "images", uint8 `(batch, H, W, 3)`, and gives "probabilities".

    Args:
        model: ONNX bytes.
        classes: probabilities a row.
    """

    most_rows: int | None = None
    description = "ONNX Runtime"
    recordable = False  # its allocator has to know of a recording, and asks for a session of its own

    def __init__(self, model: bytes, classes: int) -> None:
        self._model, self.classes = model, classes
        self._session: Any = None

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """See `DeviceNetwork`.

        Raises:
            BackendError: ONNX Runtime does not run all of the graph on the GPU.
        """
        runtime = importlib.import_module("onnxruntime")
        if _PROVIDER not in runtime.get_available_providers():
            raise BackendError(f"ONNX Runtime has no {_PROVIDER} that works. {_DOCTOR}")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        providers = [(_PROVIDER, {"user_compute_stream": str(stream), "use_tf32": "0"})]
        try:  # enable_fallback: to the CPU, with the cause on stdout
            self._session = runtime.InferenceSession(self._model, options, providers=providers, enable_fallback=0)
        except Exception as error:  # its exceptions share no base class
            raise BackendError(f"ONNX Runtime does not run the graph on {_PROVIDER}: {error}. {_DOCTOR}") from error
        if self._session.get_providers()[0] != _PROVIDER:
            raise BackendError(f"ONNX Runtime has no {_PROVIDER} that works. {_DOCTOR}")
        self._binding = self._session.io_binding()
        self._binding.bind_input("images", "cuda", 0, batch.dtype.type, list(batch.shape), batch.pointer)
        self._binding.bind_output(
            "probabilities", "cuda", 0, probabilities.dtype.type, list(probabilities.shape), probabilities.pointer
        )
        self._options = runtime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def enqueue(self) -> None:
        """See `DeviceNetwork`."""
        self._session.run_with_iobinding(self._binding, self._options)


class TensorRtNetwork:
    """An engine that reads "images", uint8 `(batch, H, W, 3)`, and gives "probabilities" and maybe more.

    Args:
        engine: TensorRT's `ICudaEngine`, of TensorRT or TensorRT for RTX.
        classes: probabilities a row.
    """

    def __init__(self, engine: Any, classes: int) -> None:  # noqa: ANN401
        self._engine, self.classes = engine, classes
        self.recordable = True
        self.description = "TensorRT"
        _, _, largest = engine.get_tensor_profile_shape("images", 0)
        self.most_rows: int | None = int(next(iter(largest)))
        self._context: Any = None

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """See `DeviceNetwork`; runs the engine once, as a recording asks for.

        Raises:
            BackendError: the engine's profile does not hold such a batch.
        """
        self._stream = stream
        context = self._engine.create_execution_context()
        if context is None or not context.set_input_shape("images", batch.shape):
            raise BackendError(
                f"the engine takes no batch of {batch.shape[0]} candidates. "
                f"Next: pixelproof build-engine BUNDLE --profile 1,64,{batch.shape[0]}"
            )
        bound = {"images": batch, "probabilities": probabilities}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            if name not in bound:  # outputs that the search does not read: a byte may be eight
                sides = tuple(context.get_tensor_shape(name))
                bound[name] = device_array(batch.device, (8 * int(np.prod(sides)),), np.uint8)
            context.set_tensor_address(name, bound[name].pointer)
        self._context = context
        self.recordable = bool(getattr(context, "is_stream_capturable", lambda _: True)(stream))
        self.enqueue()

    def enqueue(self) -> None:
        """See `DeviceNetwork`."""
        if not self._context.execute_async_v3(self._stream):
            raise BackendError("TensorRT refuses to run the engine. Next: pixelproof build-engine BUNDLE --rebuild")


class TorchNetwork:
    """A function of PyTorch tensors on the device's own memory, recorded as a CUDA graph of its own.

    Args:
        classify: uint8 `(rows, H, W, 3)` on the GPU to probabilities `(rows, classes)`; no gradient is kept, and
            convolutions in float32 are that, not TF32.
        classes: probabilities a row.
        description: for records.
        graphed: record and replay it; False where `classify` does what cannot be recorded.
    """

    most_rows: int | None = None
    recordable = False  # PyTorch's allocator has to know of the recording, so it makes its own

    def __init__(
        self,
        classify: "Callable[[Tensor], Tensor]",
        classes: int,
        *,
        description: str = "PyTorch",
        graphed: bool = True,
    ) -> None:
        self._classify, self.classes, self.description, self._graphed = classify, classes, description, graphed
        self._graph: Any = None

    def bind(self, batch: DeviceArray, probabilities: DeviceArray, stream: int) -> None:
        """See `DeviceNetwork`; runs the network a few times, as a recording asks for."""
        import torch

        if not torch.cuda.is_available():
            raise BackendError(f"PyTorch {torch.__version__} sees no GPU. Next: install a CUDA build of PyTorch")
        self._torch, self._stream = torch, torch.cuda.ExternalStream(stream)  # type: ignore[no-untyped-call]
        self._batch, self._probabilities = (
            torch.as_tensor(_Exposed(array), device="cuda") for array in (batch, probabilities)
        )
        self._graph = None
        if self._graphed:
            with torch.cuda.stream(self._stream):
                for _ in range(3):
                    self._run()
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream):
                self._run()
            self._graph = graph

    def enqueue(self) -> None:
        """See `DeviceNetwork`."""
        with self._torch.cuda.stream(self._stream):
            if self._graph is None:
                self._run()
            else:
                self._graph.replay()

    def _run(self) -> None:
        cudnn = self._torch.backends.cudnn
        with self._torch.inference_mode(), cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            self._probabilities.copy_(self._classify(self._batch))


class _Exposed:
    """The device's memory, as PyTorch takes it."""

    def __init__(self, array: DeviceArray) -> None:
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.pointer, False),
            "version": 3,
        }

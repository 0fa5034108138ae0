"""ONNX Runtime on CUDA as the network of a search on the device: any graph, in the search's own memory and stream."""

import importlib
from typing import Any

from pixelproof.attack.cuda.device import DeviceArray
from pixelproof.errors import BackendError

_PROVIDER = "CUDAExecutionProvider"


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
            raise BackendError(f"ONNX Runtime has no {_PROVIDER} that works. Next: {_DOCTOR}")
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        providers = [(_PROVIDER, {"user_compute_stream": str(stream), "use_tf32": "0"})]
        try:  # enable_fallback: to the CPU, with the cause on stdout
            self._session = runtime.InferenceSession(self._model, options, providers=providers, enable_fallback=0)
        except Exception as error:  # its exceptions share no base class
            raise BackendError(
                f"ONNX Runtime does not run the graph on {_PROVIDER}: {error}. Next: {_DOCTOR}"
            ) from error
        if self._session.get_providers()[0] != _PROVIDER:
            raise BackendError(f"ONNX Runtime has no {_PROVIDER} that works. Next: {_DOCTOR}")
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


_DOCTOR = "pixelproof doctor, or --attack-backend cpu"

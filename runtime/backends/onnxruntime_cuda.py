"""ONNX Runtime on an NVIDIA GPU."""

import contextlib
import functools
import io
from types import ModuleType
from typing import Any

from pixelproof.errors import BackendError, installed_wheels, missing_extra
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

CUDA_PROVIDER = "CUDAExecutionProvider"
EXACT = {"use_tf32": "0"}
"""The purifier's decisions are comparisons: float32 is to be float32."""


class OnnxRuntimeCuda(OnnxRuntimeCpu):
    """A graph opened in ONNX Runtime, on `CUDAExecutionProvider`: all of it, or an error."""

    wanted = CUDA_PROVIDER
    pixels = 2**18

    def _prepare(self, runtime: ModuleType, options: Any) -> list[Any]:  # noqa: ANN401  (onnxruntime.SessionOptions)
        if self.wanted not in runtime.get_available_providers():
            if "onnxruntime-gpu" in installed_wheels():
                raise BackendError(
                    f"onnxruntime-gpu {runtime.__version__} comes without {self.wanted}. "
                    "Next: pip install --force-reinstall onnxruntime-gpu"
                )
            raise missing_extra("onnxruntime-gpu (in place of onnxruntime)", "gpu", f"running on {self.wanted}")
        load_libraries(runtime)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return [(self.wanted, EXACT)]


@functools.cache
def load_libraries(runtime: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries out of pip's packages, where the provider does not look by itself."""
    if hasattr(runtime, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # what is missing is printed, and told by the session too
            runtime.preload_dlls()

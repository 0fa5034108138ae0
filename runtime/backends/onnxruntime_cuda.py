"""ONNX Runtime on an NVIDIA GPU."""

import contextlib
import functools
import io
import logging
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BackendError, installed_wheels, missing_extra
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu
from pixelproof.runtime.backends.onnxruntime_recording import Recording, can_record, unrecorded

CUDA_PROVIDER = "CUDAExecutionProvider"
EXACT = {"use_tf32": "0"}
"""The purifier's decisions are comparisons: float32 is to be float32."""
_RECORDED = {"enable_cuda_graph": "1"}
_KEPT_SIZES = 64  # batch sizes that are recorded; ONNX Runtime forgets none, so others are launched anew each time
_log = logging.getLogger("pixelproof")
_GPU = threading.RLock()
"""One batch at a time in all the process: memory that one thread asks for would break another's recording."""


class OnnxRuntimeCuda(OnnxRuntimeCpu):
    """A graph opened in ONNX Runtime, on `CUDAExecutionProvider`: all of it, or an error.

    A batch size that comes again is recorded (as a CUDA graph), and launched at once from then on: each of a network's
    hundred kernels takes longer to launch than to run on a few images.

    Attributes:
        graphs: whether to record; a change holds for what comes after it.
    """

    wanted = CUDA_PROVIDER
    pixels = 2**18
    records = True
    """Whether sessions of this kind can record."""

    def __init__(self, model: bytes, *, threads: int | None) -> None:
        self.graphs = self.records
        self._recordings: dict[int, Recording | None] = {}  # by batch size; None: seen once
        with self._alone():
            super().__init__(model, threads=threads)

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
        return [(self.wanted, EXACT | _RECORDED if self.records else EXACT)]

    def _opened(self, runtime: ModuleType, model: bytes, options: Any, providers: list[Any]) -> Any:  # noqa: ANN401
        """See `OnnxRuntimeCpu`; without recordings where the graph does not allow them, as one with a loop."""
        made = functools.partial(runtime.InferenceSession, model, options, enable_fallback=0)  # to the CPU, in silence
        self._runtime = runtime
        if self.records:
            with contextlib.suppress(Exception):  # why is told below, where it is not that
                return made(providers=providers)
            self.graphs = self.records = False
            providers = [(name, EXACT) for name, _ in providers]
        return made(providers=providers)

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """See `Session`."""
        with self._alone():
            recording = self._recording(images)
            if recording is None:
                return super().run(images, outputs)
            try:
                return recording.run(images, outputs)
            except BackendError as error:
                if recording.made:
                    raise
                self.graphs = False  # another library may have asked for memory meanwhile
                _log.info("%s runs without CUDA graphs: %s", self.wanted, error)
                return super().run(images, outputs)

    def split(self, images: NDArray[np.uint8]) -> tuple[float, float, float]:
        """Milliseconds of one batch, uint8 `(n, H, W, 3)`: of copying it there, of computing, of copying all back.

        They are taken by the host's clock, each waited for, of a recorded batch.

        Raises:
            BackendError: this batch size was not met before, or is not recorded.
        """
        with self._alone():
            recording = self._recording(images)
            if recording is None:
                raise BackendError(f"a batch of {len(images)} is not recorded. Next: run it once before")
            return recording.split(images)

    def close(self) -> None:
        """See `Session`; closing again does nothing."""
        with self._alone():
            self._recordings.clear()

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        return _GPU if self.records else contextlib.nullcontext()

    def _run_options(self) -> Any:  # noqa: ANN401  (onnxruntime.RunOptions)
        return unrecorded(self._runtime) if self.records else None

    def _recording(self, images: NDArray[np.uint8]) -> Recording | None:
        """What is recorded, or is to be, for this batch size; None the first time, and where it cannot be."""
        rows, known = len(images), self._recordings
        if not self.graphs or not can_record(self.outputs):
            return None
        if rows not in known:
            if len(known) < _KEPT_SIZES:
                known[rows] = None
            return None
        if known[rows] is None:
            known[rows] = Recording(self._runtime, self._session, self.inputs[0].name, self.outputs, images)
        return known[rows]


@functools.cache
def load_libraries(runtime: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries out of pip's packages, where the provider does not look by itself."""
    if hasattr(runtime, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # what is missing is printed, and told by the session too
            runtime.preload_dlls()

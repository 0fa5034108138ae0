"""ONNX Runtime on an NVIDIA GPU."""

import contextlib
import functools
import io
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BackendError, installed_wheels, missing_extra
from pixelproof.runtime.backends.base import Session
from pixelproof.runtime.backends.gpu_thread import on_gpu_thread
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu, first_line
from pixelproof.runtime.backends.onnxruntime_recording import Recording, can_record, unrecorded
from pixelproof.runtime.backends.shared_libraries import loads, missing_libraries

T = TypeVar("T")
CUDA_PROVIDER = "CUDAExecutionProvider"
EXACT = {"use_tf32": "0"}
"""The purifier's decisions are comparisons: float32 is to be float32."""
_RECORDED = {"enable_cuda_graph": "1"}
_KEPT_SIZES = 64  # batch sizes that are recorded; ONNX Runtime forgets none, so others are launched anew each time
_CUDNN = "libcudnn.so.9"
_MET_SIZES = 4 * _KEPT_SIZES  # that are remembered until they come again
_log = logging.getLogger("pixelproof")


class OnnxRuntimeCuda(OnnxRuntimeCpu):
    """A graph opened in ONNX Runtime, on `CUDAExecutionProvider`: all of it, or an error.

    A batch size that comes again is recorded (as a CUDA graph), and launched at once from then on: each of a network's
    hundred kernels takes longer to launch than to run on a few images. While a size is recorded, which takes some
    milliseconds, GPU memory that other libraries in the process ask for is refused to them.

    Attributes:
        graphs: whether to record; a change holds for batch sizes that are not recorded yet.
    """

    wanted = CUDA_PROVIDER
    library = "libonnxruntime_providers_cuda.so"
    """What the provider is in, on Linux."""
    pixels = 2**18
    records = True
    """Whether it can record; on the class, whether sessions of this kind do, all of them on one thread."""

    def __init__(self, model: bytes, *, threads: int | None, like: Session | None = None) -> None:
        self.graphs: bool = self.records and (not isinstance(like, OnnxRuntimeCuda) or like.graphs)
        self._recordings: dict[int, Recording] = {}  # by batch size
        self._met: OrderedDict[int, None] = OrderedDict()  # batch sizes, the latest last
        self._do(lambda: OnnxRuntimeCpu.__init__(self, model, threads=threads))

    def _prepare(self, runtime: ModuleType, options: Any) -> list[Any]:  # noqa: ANN401  (onnxruntime.SessionOptions)
        if self.wanted not in runtime.get_available_providers():
            if "onnxruntime-gpu" in installed_wheels():
                raise BackendError(
                    f"onnxruntime-gpu {runtime.__version__} comes without {self.wanted}. "
                    "Next: pip install --force-reinstall onnxruntime-gpu"
                )
            raise missing_extra(
                "onnxruntime-gpu (in place of onnxruntime)", "gpu", f"running on {self.wanted}", BackendError
            )
        load_libraries(runtime)
        self._check_libraries(runtime)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return [(self.wanted, EXACT | _RECORDED if self.records else EXACT)]

    def _check_libraries(self, runtime: ModuleType) -> None:
        """`BackendError` with what the provider needs and does not find; ONNX Runtime would report something else."""
        library = Path(runtime.__file__ or "").parent / "capi" / self.library
        if not library.is_file():  # not on Linux
            return
        missing = missing_libraries(library)
        if not loads(_CUDNN):  # not named by the file since 1.31, and asked for by the first convolution
            missing = [*dict.fromkeys([*missing, _CUDNN])]
        if missing:
            raise BackendError(
                f"{self.wanted} of onnxruntime-gpu {runtime.__version__} needs {', '.join(missing)}, "
                f"which {'is' if len(missing) == 1 else 'are'} not found. Next: {_remedy(missing)}"
            )

    def _opened(self, runtime: ModuleType, model: bytes, options: Any, providers: list[Any]) -> Any:  # noqa: ANN401
        """See `OnnxRuntimeCpu`; without recordings where the graph does not allow them, as one with a loop."""
        made = functools.partial(runtime.InferenceSession, model, options, enable_fallback=0)  # to the CPU, in silence
        self._runtime = runtime
        if self.records:
            try:
                return made(providers=providers)
            except Exception as error:  # its exceptions share no base class; what is wrong with more is raised below
                _log.info("%s opens without CUDA graphs: %s", self.wanted, first_line(error))
            self.graphs = self.records = False
            providers = [(name, EXACT) for name, _ in providers]
        return made(providers=providers)

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """See `Session`."""
        return self._do(lambda: self._run(images, outputs))

    def evaluate(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """See `OnnxRuntimeCpu`."""
        return self._do(lambda: OnnxRuntimeCpu.evaluate(self, inputs, outputs))

    def split(self, images: NDArray[np.uint8]) -> tuple[float, float, float]:
        """Milliseconds of one batch, uint8 `(n, H, W, 3)`: of copying it there, of computing, of copying all back.

        They are taken by the host's clock, each waited for, of a recorded batch.

        Raises:
            BackendError: this batch size was not met before, or cannot be recorded.
        """
        return self._do(lambda: self._split(images))

    def close(self) -> None:
        """See `Session`: calls that are running need no new recordings; those that there are go with this session."""
        self.graphs = False

    def _do(self, work: Callable[[], T]) -> T:
        return on_gpu_thread(work) if type(self).records else work()

    def _run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        recording = None
        try:
            recording = self._recording(images)
            if recording is not None:
                return recording.run(images, outputs)
        except BackendError as error:
            if recording is not None and recording.made:
                raise
            self.graphs = False  # too little memory, or another library has asked for some while it was recorded
            _log.info("%s runs without CUDA graphs: %s", self.wanted, error)
        return OnnxRuntimeCpu.run(self, images, outputs)

    def _split(self, images: NDArray[np.uint8]) -> tuple[float, float, float]:
        recording = self._recording(images)
        if recording is None:
            raise BackendError(
                f"a batch of {len(images)} is not recorded. Next: run it once before; where that does not help, the "
                "graph or the GPU's memory does not allow it"
            )
        return recording.split(images)

    def _run_options(self) -> Any:  # noqa: ANN401  (onnxruntime.RunOptions)
        return unrecorded(self._runtime) if self.records else None

    def _recording(self, images: NDArray[np.uint8]) -> Recording | None:
        """What is recorded, or is to be, for this batch size; None the first time, and where it cannot be."""
        rows = len(images)
        known = self._recordings.get(rows)
        if known is not None and (known.made or self.graphs):
            return known
        if not self.graphs or len(self._recordings) >= _KEPT_SIZES or not can_record(self.outputs):
            return None
        if rows not in self._met:
            self._met[rows] = None
            while len(self._met) > _MET_SIZES:
                self._met.popitem(last=False)
            return None
        made = Recording(self._runtime, self._session, self.inputs[0].name, self.outputs, images)
        self._recordings[rows] = made
        return made


def _remedy(missing: Sequence[str]) -> str:
    """The first thing to do: without a driver the rest would be in vain."""
    if any(name.startswith("libcuda.") for name in missing):
        return "install NVIDIA's driver; nvidia-smi shows whether it works"
    for name in missing:
        if name.startswith("libnvinfer.so."):
            major = int(name.rpartition(".")[2])
            wheel = f"'tensorrt>={major},<{major + 1}'"
            return f"pip install {wheel}, and name its folder tensorrt_libs in LD_LIBRARY_PATH"
    return "pip install 'onnxruntime-gpu[cuda,cudnn]'"


@functools.cache
def load_libraries(runtime: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries out of pip's packages, where the provider does not look by itself."""
    if hasattr(runtime, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # what is missing is printed, and reported by the session too
            runtime.preload_dlls()

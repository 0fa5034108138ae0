"""ONNX Runtime on the CPU."""

import importlib
import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ONNX_RUNTIME, BackendError, install_command, installed_wheels, missing_extra
from pixelproof.runtime.backends.base import TensorSpec

PROVIDER = "CPUExecutionProvider"
_SPIN_US = 10
_BOUNDED_SPIN_SINCE = (1, 26)  # version of ONNX Runtime; earlier ones ignore the entry, and spin for milliseconds
_DTYPES = {"tensor(float)": "float32"}  # the others are named as in NumPy: tensor(uint8), tensor(int64)


class OnnxRuntimeCpu:
    """A graph opened in ONNX Runtime, on `CPUExecutionProvider` and no other."""

    wanted = PROVIDER
    """The execution provider that has to run."""
    pixels = 2**16
    """Of a batch. With more no shipped network was faster on images of 32x32, nor ResNet-32 on larger ones up to
    224x224; DenseNet was slower."""

    def __init__(self, model: bytes, *, threads: int | None) -> None:
        runtime = import_onnxruntime()
        options = _options(runtime, threads)
        providers = self._prepare(runtime, options)
        try:
            self._session = self._opened(runtime, model, options, providers)
        except Exception as error:  # its exceptions share no base class
            raise BackendError(
                f"ONNX Runtime {runtime.__version__} refuses the graph: {first_line(error)}. Next: pixelproof doctor"
            ) from error
        self.provider: str = self._session.get_providers()[0]
        if self.provider != self.wanted:  # it falls back to the CPU with no more than a line on standard error
            raise BackendError(
                f"asked ONNX Runtime for {self.wanted}, and it runs {self.provider}. Next: pixelproof doctor"
            )
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())

    def _prepare(self, runtime: ModuleType, options: Any) -> list[Any]:  # noqa: ANN401  (onnxruntime.SessionOptions)
        """Check the runtime for what this provider needs, set its options, and name the providers to ask for."""
        return [self.wanted]

    def _opened(self, runtime: ModuleType, model: bytes, options: Any, providers: list[Any]) -> Any:  # noqa: ANN401
        """ONNX Runtime's session; whatever that raises."""
        return runtime.InferenceSession(model, options, providers=providers)

    def _run_options(self) -> Any:  # noqa: ANN401  (onnxruntime.RunOptions)
        """Of a run; None for ONNX Runtime's own."""
        return None

    def images_a_run(self, size: tuple[int, int]) -> int:
        """See `Session`: 64 of 32x32."""
        return max(1, self.pixels // math.prod(size))

    def close(self) -> None:
        """Nothing is left to free: ONNX Runtime's session goes with this one."""

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs for one batch, uint8 `(n, H, W, 3)`."""
        return self.evaluate({self.inputs[0].name: images}, outputs)

    def evaluate(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs for arrays by their inputs' names."""
        try:
            results: list[NDArray[Any]] = self._session.run(list(outputs), dict(inputs), self._run_options())
        except Exception as error:  # its exceptions share no base class
            raise BackendError(
                f"ONNX Runtime failed on a batch of {len(next(iter(inputs.values())))} images: {first_line(error)}. "
                "Next: pixelproof doctor"
            ) from error
        return results


def import_onnxruntime() -> ModuleType:
    """The module `onnxruntime`; an error with the pip command where it is missing, broken, or installed twice."""
    if len(wheels := installed_wheels()) > 1:
        raise BackendError(
            f"{' and '.join(wheels)} are both installed, and each overwrites the other's files. "
            f"Next: {install_command('cpu')}, or for an NVIDIA GPU: {install_command('gpu')}"
        )
    try:
        runtime = importlib.import_module("onnxruntime")
        runtime.InferenceSession  # noqa: B018  (an uninstalled wheel can leave an empty folder that imports)
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise _broken(error) from error
        raise missing_extra("onnxruntime", "cpu", "running a bundle", BackendError) from None
    except (ImportError, AttributeError) as error:
        raise _broken(error) from error
    return runtime


def _broken(error: Exception) -> BackendError:
    wheel = next(iter(installed_wheels()), ONNX_RUNTIME["cpu"])
    return BackendError(
        f"ONNX Runtime is installed but does not load: {first_line(error)}. Next: pip install --force-reinstall {wheel}"
    )


def _options(runtime: ModuleType, threads: int | None) -> Any:  # noqa: ANN401  (onnxruntime.SessionOptions)
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # failures are raised; nothing is to be printed beside
    if threads is not None:
        options.intra_op_num_threads = threads
    options.add_session_config_entry(*_idle_threads(runtime.__version__))
    # ONNX Runtime's own format could name files outside the bytes, and is not what the bundle's check has read.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _idle_threads(version: str) -> tuple[str, str]:
    """The session entry that says how long a thread with nothing to do keeps its core.

    Threads that sleep at once must be woken for every other layer: on two cores ResNet-32 took twice as long for an
    image. Threads that spin for long, as ONNX Runtime's do if nothing is said, take the cores from neighbors and other
    sessions. With this bound two or eight calls at a time were no slower than with threads that sleep; with four
    times as much they were. Beside processes that kept both cores busy, one call at a time took up to a fifth longer.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < _BOUNDED_SPIN_SINCE:
        return "session.intra_op.allow_spinning", "0"
    return "session.intra_op.spin_duration_us", str(_SPIN_US)


def _spec(tensor: Any) -> TensorSpec:  # noqa: ANN401  (onnxruntime.NodeArg)
    dtype = _DTYPES.get(tensor.type, tensor.type.removeprefix("tensor(").removesuffix(")"))
    return TensorSpec(tensor.name, dtype, tuple(tensor.shape))


def first_line(error: Exception) -> str:
    """What ONNX Runtime says first, shortened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]

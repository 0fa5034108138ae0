"""A batch size of a graph in ONNX Runtime on CUDA, launched as one recording."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import BackendError
from pixelproof.runtime.backends.base import TensorSpec
from pixelproof.runtime.backends.onnxruntime_cpu import first_line

_NUMBER = "gpu_graph_id"  # which recording a run makes or replays
_NONE = "-1"


def can_record(outputs: Sequence[TensorSpec]) -> bool:
    """Whether a batch's size says how large each of these will be."""
    return all(isinstance(side, int) for spec in outputs for side in spec.shape[1:])


def unrecorded(runtime: ModuleType) -> Any:  # noqa: ANN401  (onnxruntime.RunOptions)
    """Options of a run that neither makes a recording nor replays one, in a session that may."""
    options = runtime.RunOptions()
    options.add_run_config_entry(_NUMBER, _NONE)
    return options


class Recording:
    """Buffers on the GPU, and what ONNX Runtime records of the first run on them and replays at later ones.

    Args:
        runtime: the module `onnxruntime`.
        session: its session, opened with CUDA graphs.
        given: the graph's input.
        outputs: the graph's outputs; see `can_record`.
        images: one batch, C-contiguous uint8 `(n, H, W, 3)`.

    Attributes:
        made: whether it was run once, and so recorded.

    Raises:
        BackendError: there is no memory for it, or ONNX Runtime fails.
    """

    def __init__(
        self,
        runtime: ModuleType,
        session: Any,  # noqa: ANN401  (onnxruntime.InferenceSession)
        given: str,
        outputs: Sequence[TensorSpec],
        images: NDArray[np.uint8],
    ) -> None:
        self.made = False
        self._session, self._binding, self._options = session, session.io_binding(), runtime.RunOptions()
        self._options.add_run_config_entry(_NUMBER, str(len(images)))
        with _failures_named():
            self._bind(runtime.OrtValue, given, outputs, images)

    def _bind(
        self,
        value: Any,  # noqa: ANN401  (onnxruntime.OrtValue)
        given: str,
        outputs: Sequence[TensorSpec],
        images: NDArray[np.uint8],
    ) -> None:
        self._images = value.ortvalue_from_numpy(images, "cuda", 0)
        self._outputs = {}
        for spec in outputs:
            shape, dtype = (len(images), *spec.shape[1:]), np.dtype(spec.dtype).type
            self._outputs[spec.name] = value.ortvalue_from_shape_and_type(shape, dtype, "cuda", 0)
        self._binding.bind_ortvalue_input(given, self._images)
        for name, output in self._outputs.items():
            self._binding.bind_ortvalue_output(name, output)

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs for one batch of the size it was made for."""
        with _failures_named():
            self._images.update_inplace(images)
            self._launch()
            return [self._outputs[name].numpy() for name in outputs]

    def split(self, images: NDArray[np.uint8]) -> tuple[float, float, float]:
        """Milliseconds of copying one batch there, of computing, and of copying all outputs back."""
        with _failures_named():
            marks = [time.perf_counter()]
            self._images.update_inplace(images)
            marks.append(time.perf_counter())
            self._launch()
            marks.append(time.perf_counter())
            for output in self._outputs.values():
                output.numpy()
            marks.append(time.perf_counter())
        there, computed, back = (1e3 * (after - before) for before, after in itertools.pairwise(marks))
        return there, computed, back

    def _launch(self) -> None:
        self._session.run_with_iobinding(self._binding, self._options)  # waits for the GPU
        self.made = True


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    """Whatever ONNX Runtime raises, as a `BackendError`."""
    try:
        yield
    except Exception as error:  # its exceptions share no base class
        raise BackendError(
            f"ONNX Runtime failed on a recorded batch: {first_line(error)}. Next: pixelproof doctor"
        ) from error

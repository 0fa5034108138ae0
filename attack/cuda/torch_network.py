"""PyTorch as the network of a search on the device."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pixelproof.attack.cuda.device import DeviceArray
from pixelproof.errors import BackendError

if TYPE_CHECKING:
    from torch import Tensor


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

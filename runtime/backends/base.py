"""What a backend is: something that opens a graph's bytes and runs batches through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TensorSpec:
    """A graph's input or output: its dtype as NumPy names it, and its shape, a text for a symbolic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Session(Protocol):
    """One opened graph. `run` may be called from several threads at once."""

    provider: str
    """The execution provider that really runs."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs for one batch, C-contiguous uint8 `(n, H, W, 3)`."""


class Backend(Protocol):
    """Opens the graph in `model` (ONNX bytes) on `threads` threads (None: the backend's own choice)."""

    wanted: str
    """The execution provider that it stands for."""

    def __call__(self, model: bytes, *, threads: int | None) -> Session:
        """Open the graph; `BackendError` when it does not run on the provider that this backend stands for."""

"""What a classifier is to the export: something that runs as it always did, and that can be had as an ONNX graph."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


class Classifier(Protocol):
    """A classifier of float32 `(n, 3, H, W)` pixels, normalized where it expects them to be."""

    name: str
    """What was asked for: a shipped name, `module:function`, a class, an ONNX file's name."""
    source: str
    """"shipped", "module" or "onnx"."""
    weights_sha256: str | None
    size: tuple[int, int] | None
    """The only (H, W) that it takes; None where that is not known."""
    class_names: tuple[str, ...] | None
    """Those of a shipped network, which normalizes inside; None for one's own."""

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the original gives for `pixels`, `(n, classes)`; `UsageError` where it does not run on them."""

    def run_in_double(self, pixels: NDArray[np.float32]) -> "NDArray[np.float64] | None":
        """The same with all arithmetic in float64; None where that cannot be."""

    def to_onnx(self, size: tuple[int, int], *, half: bool = False) -> "onnx.ModelProto":
        """One input, float32 `(batch, 3, H, W)`, and one output, float32 `(batch, classes)`; `ExportError`.

        `half`: what lies between is float16; `UsageError` where it cannot be.
        """

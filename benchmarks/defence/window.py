"""A shipped purifier for the small windows that a changed pixel can reach: the same arithmetic on fewer pixels."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import Windowed
from pixelproof.attack.windowed import Purify, side_for
from pixelproof.benchmarks.probes import probes
from pixelproof.models.data import sample
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

if TYPE_CHECKING:
    from torch import nn

_PROBES = 512  # changed pixels on which the windows have to give the deployed purifier's very bytes


def windowed(purifier: "nn.Module", purify: Purify, *, threads: int | None, batch_size: int) -> Windowed | None:
    """`purify` by windows; None where they are not exactly the same.

    Args:
        purifier: the shipped module that `purify` should be; tells how far a changed pixel reaches by `reach`.
        purify: the deployed one, uint8 `(n, 32, 32, 3)` to the same.
        threads: CPU threads a call may use.
        batch_size: rows of every batch.
    """
    reach: Any = getattr(purifier, "reach", None)
    if reach is None:
        return None
    try:
        by_window = Windowed(purify, _of_side(purifier, side_for(reach), threads), reach, batch_size=batch_size)
    except ModuleNotFoundError:  # the extra `export`
        return None
    return by_window if _agree(by_window, purify) else None


def _of_side(purifier: "nn.Module", side: int, threads: int | None) -> Callable[..., Any]:
    from pixelproof.export.graph import serialised
    from pixelproof.export.tracing import frozen, trace

    model = trace(frozen(purifier), (side, side), what="the purifier")
    session = OnnxRuntimeCpu(serialised(model), threads=threads)
    output = session.outputs[0].name

    def purify(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        levels: Any = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        (purified,) = session.run(levels, [output])
        whole: NDArray[np.uint8] = purified.transpose(0, 2, 3, 1).astype(np.uint8)  # a gate yields whole levels
        return whole

    return purify


def _agree(by_window: Windowed, purify: Purify) -> bool:
    """Whether both say the same of changed pixels all over real images, corners of the colour cube and others."""
    shown = probes(_PROBES, len(sample()))
    return np.array_equal(by_window(shown.images, shown.which, shown.positions, shown.colours), purify(shown.drawn))

"""A shipped purifier for the small windows that a changed pixel can reach: the same arithmetic on fewer pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import Windowed
from pixelproof.attack.evaluation.windows.probes import probes
from pixelproof.attack.predictors.windows.windowed import Purify, side_for
from pixelproof.models.data import sample
from pixelproof.models.purifiers import offers_of
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

_PROBES = 512  # changed pixels on which the windows have to give the deployed purifier's very bytes


def windowed(purifier: str, purify: Purify, *, threads: int | None, batch_size: int) -> Windowed | None:
    """`purify` by windows; None where they are not exactly the same.

    Args:
        purifier: the shipped one's name that `purify` should be; its module's `receptive_field` states how far
            a changed pixel reaches.
        purify: the deployed one, uint8 `(n, 32, 32, 3)` to the same.
        threads: CPU threads a call may use.
        batch_size: rows of every batch.
    """
    try:
        from pixelproof.export.graph import serialized
        from pixelproof.export.purifiers import open_purifier
    except ModuleNotFoundError:  # the extra `export`
        return None
    opened = open_purifier(purifier)
    reach = offers_of(opened.module).receptive_field if opened else None
    if opened is None or reach is None:
        return None
    side = side_for(reach)
    session = OnnxRuntimeCpu(serialized(opened.to_onnx((side, side))), threads=threads)
    by_window = Windowed(purify, _on_bytes(session), reach, batch_size=batch_size)
    return by_window if _agree(by_window, purify) else None


def _on_bytes(session: OnnxRuntimeCpu) -> Callable[..., Any]:
    output = session.outputs[0].name

    def purify(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        levels: Any = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        (purified,) = session.run(levels, [output])
        whole: NDArray[np.uint8] = purified.transpose(0, 2, 3, 1).astype(np.uint8)  # a gate yields whole levels
        return whole

    return purify


def _agree(by_window: Windowed, purify: Purify) -> bool:
    """Whether both say the same of changed pixels all over real images, corners of the color cube and others."""
    shown = probes(_PROBES, len(sample()))
    return np.array_equal(by_window(shown.images, shown.which, shown.positions, shown.colors), purify(shown.drawn))

"""Many rows in batches of one shape, so that a network computes a row alike whatever else is asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def in_batches(
    call: Callable[[NDArray[np.uint8]], NDArray[Any]], images: NDArray[np.uint8], batch_size: int
) -> NDArray[Any]:
    """`call(images)`, always asked for `batch_size` rows, the last of them fillers.

    Args:
        call: uint8 `(batch_size, H, W, 3)` to an array of as many rows, which it may reuse.
        images: uint8 `(n, H, W, 3)`, n above 0.
        batch_size: rows of every batch.
    """
    batch = np.zeros((batch_size, *images.shape[1:]), np.uint8)
    parts = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        batch[: len(part)] = part
        parts.append(call(batch)[: len(part)].copy())
    return np.concatenate(parts)

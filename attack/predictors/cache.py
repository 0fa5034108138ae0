"""What was computed of an image before, found by its bytes."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Computes once what a search asks of an image again and again.

    Args:
        count: images that are remembered, those not met for longest leaving first.
        nbytes: of images that are remembered, at most; None for any number.
    """

    def __init__(self, count: int, nbytes: int | None = None) -> None:
        self._count, self._nbytes = count, nbytes
        self._known: dict[bytes, Value] = {}  # in the order in which they were last met
        self._shape: tuple[int, ...] = ()

    def of(
        self, images: NDArray[np.uint8], compute: Callable[[NDArray[np.int64]], Iterable[Value]]
    ) -> tuple[list[Value], int]:
        """Each image's value, and how many had to be computed.

        Args:
            images: uint8 `(n, H, W, 3)`.
            compute: rows of `images`, no two alike, to the value of each; not called where all are known.
        """
        if images.shape[1:] != self._shape:  # the same bytes are another image then
            self._shape = images.shape[1:]
            self._known.clear()
        keys = [image.tobytes() for image in images]
        row_of: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            row_of.setdefault(key, row)
        met = {key: self._known.pop(key) for key in row_of if key in self._known}
        if new := [key for key in row_of if key not in met]:
            met.update(zip(new, compute(np.array([row_of[key] for key in new])), strict=True))
        self._known.update(met)
        self._forget()
        return [met[key] for key in keys], len(new)

    def _forget(self) -> None:
        count = self._count
        if self._nbytes is not None:
            count = min(count, self._nbytes // int(np.prod(self._shape)))
        for key in list(self._known)[: max(0, len(self._known) - count)]:
            del self._known[key]

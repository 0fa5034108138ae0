"""Caches of what was computed of an image, found by the image's bytes; the least recently used entries leave first."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Value = TypeVar("Value")

Maps = dict[str, NDArray[np.float32]]
"""Activation maps by name, float32 `(n, C, H, W)`."""

_AT_ONCE = 16  # images whose maps are computed in one call


class ImageCache(Generic[Value]):
    """Computes once what a search asks of an image again and again.

    Args:
        count: images that are kept.
        nbytes: of images that are kept, at most; None for any number.
    """

    def __init__(self, count: int, nbytes: int | None = None) -> None:
        self._count, self._nbytes = count, nbytes
        self._known: dict[bytes, Value] = {}  # the least recently used first
        self._shape: tuple[int, ...] = ()

    def of(
        self, images: NDArray[np.uint8], compute: Callable[[NDArray[np.int64]], Iterable[Value]]
    ) -> tuple[list[Value], int]:
        """Each image's value, and how many had to be computed.

        Args:
            images: uint8 `(n, H, W, 3)`.
            compute: rows of `images`, no two alike, to the value of each; not called where all are known. By then what
                has to leave for them has left.
        """
        if images.shape[1:] != self._shape:  # the same bytes are another image then
            self._shape = images.shape[1:]
            self._known.clear()
        keys = [image.tobytes() for image in images]
        row_of: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            row_of.setdefault(key, row)
        found = {key: self._known.pop(key) for key in row_of if key in self._known}
        self._known.update(found)
        if new := [key for key in row_of if key not in found]:
            self._leave_room(len(new))
            computed = dict(zip(new, compute(np.array([row_of[key] for key in new])), strict=True))
            self._known.update(computed)
            self._leave_room(0)
            found |= computed
        return [found[key] for key in keys], len(new)

    def values(self) -> Iterable[Value]:
        """What is kept."""
        return self._known.values()

    def _leave_room(self, room: int) -> None:
        count = self._count
        if self._nbytes is not None:
            count = min(count, self._nbytes // int(np.prod(self._shape)))
        for key in list(self._known)[: max(0, len(self._known) + room - count)]:
            del self._known[key]


class ActivationCache:
    """The activation maps of a few clean images.

    Args:
        clean: uint8 images `(n, H, W, 3)` to their maps.
        limit: images that are kept.
        padding: zeros around each map, by name; none around those not named.
    """

    def __init__(
        self, clean: Callable[[NDArray[np.uint8]], Maps], limit: int, padding: Mapping[str, int] | None = None
    ) -> None:
        self._clean, self.limit, self._padding = clean, limit, dict(padding or {})
        self._slot_of: ImageCache[int] = ImageCache(limit)
        self.arrays: Maps = {}
        """By name, `(limit, C, H, W)`, without their padding."""
        self._padded: Maps = {}

    def lengths(self) -> dict[str, tuple[int, int]]:
        """Height and width of each map."""
        return {name: (array.shape[2], array.shape[3]) for name, array in self.arrays.items()}

    def windows(
        self,
        name: str,
        slots: NDArray[np.int64],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        size: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Windows of `size` of some maps, `(n, C, *size)`; `rows` and `columns` may begin in the padding."""
        padding = self._padding.get(name, 0)
        view = sliding_window_view(self._padded[name], size, axis=(2, 3))
        found: NDArray[np.float32] = view[slots, :, rows + padding, columns + padding]
        return found

    def slots(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where in `arrays` each image's maps are, int64 `(n,)`; at most `limit` different images."""
        slots, _ = self._slot_of.of(images, lambda rows: self._compute(images[rows]))
        return np.array(slots, np.int64)

    def _compute(self, images: NDArray[np.uint8]) -> list[int]:
        free = sorted(set(range(self.limit)) - set(self._slot_of.values()))[: len(images)]
        for start in range(0, len(images), _AT_ONCE):
            maps = self._clean(images[start : start + _AT_ONCE])
            if not self.arrays:
                self._allocate(maps)
            for name, array in maps.items():
                self.arrays[name][free[start : start + _AT_ONCE]] = array
        return free

    def _allocate(self, maps: Maps) -> None:
        for name, array in maps.items():
            padding, (channels, height, width) = self._padding.get(name, 0), array.shape[1:]
            padded = np.zeros((self.limit, channels, height + 2 * padding, width + 2 * padding), np.float32)
            self._padded[name] = padded
            self.arrays[name] = padded[:, :, padding : padding + height, padding : padding + width]

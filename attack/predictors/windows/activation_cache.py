"""The activation maps of a few clean images, by their bytes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Maps = dict[str, NDArray[np.float32]]
"""Activation maps by name, float32 `(n, C, H, W)`."""

Size = tuple[int, int]
"""Height and width."""

_AT_ONCE = 16  # images whose maps are computed in one call


class KeptMaps:
    """Keeps the maps of `limit` images, those not asked for longest leaving first.

    Args:
        clean: uint8 images `(n, H, W, 3)` to their maps.
        limit: images that are kept.
        padding: zeros around each map, by name; none around those not named.
    """

    def __init__(
        self, clean: Callable[[NDArray[np.uint8]], Maps], limit: int, padding: Mapping[str, int] | None = None
    ) -> None:
        self._clean, self.limit, self._padding = clean, limit, dict(padding or {})
        self._slot_of: dict[bytes, int] = {}  # in the order in which they were last asked for
        self.arrays: Maps = {}
        """By name, `(limit, C, H, W)`, without their padding."""
        self._padded: Maps = {}

    def lengths(self) -> dict[str, tuple[int, int]]:
        """Height and width of each map."""
        return {name: (array.shape[2], array.shape[3]) for name, array in self.arrays.items()}

    def windows(
        self, name: str, slots: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64], size: Size
    ) -> NDArray[np.float32]:
        """Windows of `size` of some maps, `(n, C, *size)`; `rows` and `columns` may begin in the padding."""
        padding = self._padding.get(name, 0)
        view = sliding_window_view(self._padded[name], size, axis=(2, 3))
        found: NDArray[np.float32] = view[slots, :, rows + padding, columns + padding]
        return found

    def slots(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where in `arrays` each image's maps are, int64 `(n,)`; at most `limit` different images."""
        keys = [image.tobytes() for image in images]
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        for key in first:
            if key in self._slot_of:
                self._slot_of[key] = self._slot_of.pop(key)
        new = [key for key in first if key not in self._slot_of]
        for start in range(0, len(new), _AT_ONCE):
            self._compute(new[start : start + _AT_ONCE], images, first)
        return np.array([self._slot_of[key] for key in keys], np.int64)

    def _compute(self, keys: list[bytes], images: NDArray[np.uint8], row_of: dict[bytes, int]) -> None:
        maps = self._clean(images[[row_of[key] for key in keys]])
        if not self.arrays:
            self._allocate(maps)
        for row, key in enumerate(keys):
            slot = len(self._slot_of)
            if slot >= self.limit:
                slot = self._slot_of.pop(next(iter(self._slot_of)))
            self._slot_of[key] = slot
            for name, array in maps.items():
                self.arrays[name][slot] = array[row]

    def _allocate(self, maps: Maps) -> None:
        for name, array in maps.items():
            padding, (channels, height, width) = self._padding.get(name, 0), array.shape[1:]
            padded = np.zeros((self.limit, channels, height + 2 * padding, width + 2 * padding), np.float32)
            self._padded[name] = padded
            self.arrays[name] = padded[:, :, padding : padding + height, padding : padding + width]

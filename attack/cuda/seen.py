"""What each lane's candidates were given, on the device, so that the network is shown none of them twice."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, DeviceArray, Sizes, device_array
from pixelproof.attack.kernels.sources import SHARE
from pixelproof.errors import PixelproofError

MOST_BYTES = 1 << 30
"""Of the memory; a budget that asks for more goes without."""
_BYTES_A_SLOT = 8 + 4 + 4


class Seen:
    """The arrays of `kernels/remember.cu`, and the launches that work on them.

    Args:
        device: where they lie.
        sizes: of the search; only candidates of one pixel are remembered, and only where there is memory for all.
        last: the last generation.
        rows: of the network's batch.

    Attributes:
        shown: int32 `(batches, rows)`, the places of the children that the network has to be shown, -1 behind the last.
    """

    def __init__(self, device: Device, sizes: Sizes, last: int, rows: int) -> None:
        self._device, self._sizes = device, sizes
        self._allocate(slots(sizes, last))
        self._slot_of, self._is_new = (
            device_array(device, (sizes.lanes, sizes.size), dtype) for dtype in (np.int32, np.uint8)
        )
        self._new_of = device_array(device, (sizes.lanes,), np.int32)
        self._new_in = device_array(device, (-(-self._places // SHARE),), np.int32)
        self.shown = device_array(device, (-(-self._places // rows), rows), np.int32)
        begin = device_array(device, (sizes.lanes,), np.int32)
        begin.write(0)
        self.forget(begin)

    def _allocate(self, wanted: int) -> None:
        """The memory, in one piece; none, where the device has too little left."""
        kept = self._sizes.lanes, wanted
        try:
            whole = device_array(self._device, (*kept, _BYTES_A_SLOT), np.uint8)
        except PixelproofError:
            if not wanted:
                raise
            self._allocate(0)
            return
        self._slots, items = wanted, int(np.prod(kept))
        self._seen = replace(whole, shape=kept, dtype=np.dtype(np.uint64))
        self._first = replace(self._seen, pointer=whole.pointer + 8 * items, dtype=np.dtype(np.int32))
        self._known = replace(self._seen, pointer=whole.pointer + 12 * items, dtype=np.dtype(np.float32))

    def forget(self, generations: DeviceArray) -> None:
        """Launch what lanes begin with, in generation 0: nothing is remembered."""
        if self._slots:
            memory = self._seen, self._first, generations, self._slots, self._sizes
            self._device.launch("forget_candidates", self._sizes.lanes * self._slots, memory)

    def find(self, children: DeviceArray, generations: DeviceArray) -> None:
        """Launch what tells which children are new."""
        places, shows = self._places, int(np.prod(self.shown.shape))
        found = self._seen, self._first, self._slot_of, self._new_of, self._new_in, children, generations
        self._device.launch("find_candidates", places, (*found, self._slots, self._sizes))
        marked = self._is_new, self._new_of, self._new_in, self.shown, self._first, self._slot_of, generations
        self._device.launch("mark_new", max(places, shows), (*marked, self._slots, shows, self._sizes))
        self._device.launch("assign_rows", places, (self.shown, self._is_new, self._new_in, self._sizes))

    def new(self) -> NDArray[np.int32]:
        """How many children of each lane are new, int32 `(lanes,)`; waits."""
        counts: NDArray[np.int32] = self._new_of.read()
        return counts

    def share(self, fitness: DeviceArray, won: DeviceArray, generations: DeviceArray) -> None:
        """Launch what gives the other children what those that are drawn alike were given."""
        shared = fitness, won, self._known, self._first, self._slot_of, self._is_new, generations
        self._device.launch("share_fitness", self._places, (*shared, self._slots, self._sizes))

    @property
    def _places(self) -> int:
        return self._sizes.lanes * self._sizes.size


def slots(sizes: Sizes, last: int) -> int:
    """Of a lane's memory: at least half as many again as it proposes; 0 where nothing is remembered."""
    proposed = sizes.size * (last + 1)
    wanted = 1 << (3 * proposed // 2 - 1).bit_length()
    fits = sizes.lanes * wanted * _BYTES_A_SLOT <= MOST_BYTES
    return wanted if sizes.pixels == 1 and fits else 0

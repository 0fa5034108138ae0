"""The device's side of a search: the arrays of `kernels/table.cuh`, and the launches that work on them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, DeviceArray, Sizes, device_array
from pixelproof.attack.cuda.networks import DeviceNetwork
from pixelproof.attack.cuda.predict import DeviceCanvas, ask
from pixelproof.attack.kernels.sources import SHARE
from pixelproof.attack.search.randomness import normal_colors
from pixelproof.errors import PixelproofError

MOST_BYTES = 1 << 30
"""Of the memory; a budget that asks for more goes without."""
_BYTES_A_SLOT = 8 + 4 + 4

Work = Callable[[], None]
"""Launches something; does not wait for it."""


class Seen:
    """The arrays of `kernels/remember.cu`, and the launches that work on them.

    Args:
        device: where they lie.
        sizes: of the search; only candidates of one pixel are cached, and only where there is memory for all.
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
        self.forget(device_array(device, (sizes.lanes,), np.int32, 0))

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
        """Launch what finds which children are new."""
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
    """Of a lane's memory: at least half as many again as it proposes; 0 where nothing is cached."""
    proposed = sizes.size * (last + 1)
    wanted = 1 << (3 * proposed // 2 - 1).bit_length()
    fits = sizes.lanes * wanted * _BYTES_A_SLOT <= MOST_BYTES
    return wanted if sizes.pixels == 1 and fits else 0


class Table:
    """Several images' populations, one lane an image, and the network that judges them.

    Args:
        device: where all of it lies.
        network: reads `rows` candidates at a time.
        images: uint8 `(n, H, W, 3)`.
        lanes: images at a time.
        size: candidates of a population.
        pixels: of a candidate.
        rows: of the network's batch.
        factor: the differential weight.
        last: the last generation.
        targeted: success is a lane's class, not any other one.
    """

    def __init__(
        self,
        device: Device,
        network: DeviceNetwork,
        images: NDArray[np.uint8],
        *,
        lanes: int,
        size: int,
        pixels: int,
        rows: int,
        factor: float,
        last: int,
        targeted: bool,
    ) -> None:
        _, height, width, _ = images.shape
        self.device, self.network, self.rows = device, network, rows
        self.sizes = Sizes(lanes, size, pixels, height, width)
        self._factor, self._last, self._targeted = float(factor), last, int(targeted)
        self.image_count = len(images)
        new = partial(device_array, device)
        self._images = new(images.shape, np.uint8, images)
        self._colors = new((65536,), np.uint8, normal_colors())
        self._members, self.children = (new((lanes, size, pixels, 5), np.float32) for _ in range(2))
        self._fitness, self._children_fitness = (new((lanes, size), np.float32) for _ in range(2))
        self.won = new((lanes, size), np.uint8, 0)
        self.keys = new((lanes, 2), np.uint32, 0)
        self.image_of, self.class_of = (new((lanes,), np.int32, 0) for _ in range(2))
        self.generations = new((lanes,), np.int32, -1)
        self.winners = new((lanes,), np.int32, size)
        self.batch = new((rows, height, width, 3), np.uint8, 0)
        self._canvas = DeviceCanvas(device, self.batch, self.sizes)
        self.probabilities = new((rows, network.classes), np.float32)
        self._chosen = new((rows,), np.int32, -1)
        # before what follows, which can do with less memory
        network.bind(self.batch, self.probabilities, device.stream)
        self._seen = Seen(device, self.sizes, last, rows)
        self._openings = {fresh: device.record(partial(_run, self._opening(fresh=fresh))) for fresh in (False, True)}
        self._showings = [self._recorded(self._seen.shown[batch]) for batch in range(self.batches)]
        self._end = device.record(self.close_generation)

    def generation(self, *, fresh: bool) -> NDArray[np.int32]:
        """One generation of the lanes that run; the network is shown what they have not seen before.

        Args:
            fresh: lanes are among them that begin with another image.

        Returns:
            How many candidates of each lane the network was shown, int32 `(lanes,)`.
        """
        self._openings[fresh]()
        new = self._seen.new()
        for showing in self._showings[: -(-int(new.sum()) // self.rows)]:
            _run(showing)
        self._end()
        return new

    def _opening(self, *, fresh: bool) -> list[Work]:
        """What a generation begins with."""
        forget = [partial(self._seen.forget, self.generations)] if fresh else []
        return [*forget, self._propose, partial(self._seen.find, self.children, self.generations)]

    def _recorded(self, shown: DeviceArray) -> list[Work]:
        """A batch recorded: as one, or what lies before and behind a network that cannot be."""
        place, draw, network, judge = self._evaluation(shown)
        if self.network.recordable:
            return [self.device.record(partial(_run, (place, draw, network, judge)))]
        return [self.device.record(partial(_run, (place, draw))), network, self.device.record(judge)]

    def look_at(self, places: NDArray[np.int64]) -> None:
        """Show the candidates at these places, `(m,)` with m at most `rows`, and judge them."""
        shown = np.full(self.rows, -1, np.int32)
        shown[: len(places)] = places
        self._chosen.write(shown)
        _run(self._evaluation(self._chosen))

    def close_generation(self) -> None:
        """Give repeated children their fitness, let children replace parents, and move the lanes that run on."""
        self._seen.share(self._children_fitness, self.won, self.generations)
        self._select()
        self._advance()

    def classify(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's probabilities of any uint8 `(n, H, W, 3)`; what the batch showed is forgotten."""
        found = ask(self.network, self.batch, self.probabilities, images)
        self.forget()
        return found

    @property
    def batches(self) -> int:
        """Of the network, a generation of all lanes in which every child is new."""
        return self._seen.shown.shape[0]

    def launches(self) -> Iterator[tuple[str, int, Work]]:
        """Each kernel's name (of several: what they do), how often a generation of all lanes in which every child is
        new launches it, and one such launch, for timing."""
        self._chosen.write(np.resize(np.arange(self.sizes.lanes * self.sizes.size), self.rows))
        yield "propose_candidates", 1, self._propose
        yield "find_candidates, mark_new, assign_rows", 1, partial(self._seen.find, self.children, self.generations)
        yield "place_images", self.batches, partial(self._place, self._chosen)
        yield "draw_candidates", self.batches, partial(self._draw, self._chosen)
        yield "judge_rows", self.batches, partial(self._judge, self._chosen)
        share = partial(self._seen.share, self._children_fitness, self.won, self.generations)
        yield "share_fitness", 1, share
        yield "select_children", 1, self._select
        yield "advance_lanes", 1, self._advance

    def forget(self) -> None:
        """Let no row of the batch count as holding an image: each is copied anew."""
        self._canvas.forget()

    def _propose(self) -> None:
        places = self.sizes.lanes * self.sizes.size * self.sizes.pixels
        state = self.children, self._members, self.generations, self.keys, self._colors, self._factor, self.sizes
        self.device.launch("propose_candidates", places, state)

    def _evaluation(self, shown: DeviceArray) -> tuple[Work, ...]:
        place, draw, judge = (partial(launch, shown) for launch in (self._place, self._draw, self._judge))
        return place, draw, self.network.enqueue, judge

    def _place(self, shown: DeviceArray) -> None:
        self._canvas.place(self._images, self.image_of, shown, self.generations)

    def _draw(self, shown: DeviceArray) -> None:
        self._canvas.draw(self._images, self.image_of, self.children, shown, self.generations)

    def _judge(self, shown: DeviceArray) -> None:
        judged = self._children_fitness, self.won, self.winners, self.probabilities, shown, self.generations
        how = self.class_of, self._targeted, self.network.classes, self.rows, self.sizes
        self.device.launch("judge_rows", self.rows, (*judged, *how))

    def _select(self) -> None:
        selected = self._members, self._fitness, self.children, self._children_fitness, self.generations, self.winners
        self.device.launch("select_children", self.sizes.lanes * self.sizes.size, (*selected, self.sizes))

    def _advance(self) -> None:
        self.device.launch("advance_lanes", self.sizes.lanes, (self.generations, self.winners, self._last, self.sizes))


def _run(parts: Iterable[Work]) -> None:
    for part in parts:
        part()

"""The parts of a generation, each launched alone, over and over, on one device."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, device_array
from pixelproof.attack.cuda.network import DeviceNetwork
from pixelproof.attack.cuda.table import Table
from pixelproof.benchmarks.formats import KernelRow

_COPIED = 1 << 28  # bytes
_TIMES = 20


@dataclass(frozen=True)
class Population:
    """How many images at a time, candidates an image, and candidates a batch of the network."""

    lanes: int
    size: int
    rows: int


class Parts:
    """A table of lanes that all run, whose parts can be timed.

    Their goal is each image's least probable class, which next to none reaches, so that populations evolve to the end.

    Args:
        device: the GPU.
        network: on it.
        images: uint8 `(n, H, W, 3)`, at least one a lane.
        population: of each lane.
        last: the last generation.
    """

    def __init__(
        self, device: Device, network: DeviceNetwork, images: NDArray[np.uint8], population: Population, last: int
    ) -> None:
        self.device, self.network, self.population, self.last = device, network, population, last
        self.table = Table(
            device,
            network,
            images,
            lanes=population.lanes,
            size=population.size,
            pixels=1,
            rows=population.rows,
            factor=0.5,
            last=last,
            targeted=True,
        )
        self._goals = self.table.classify(images).argmin(axis=1)
        self.begin(0)

    def begin(self, first: int) -> None:
        """Give the lanes the images from `first` on (all over again behind the last), at their first generation."""
        lanes = self.population.lanes
        shown = (first + np.arange(lanes)) % self.table.image_count
        self.table.image_of.write(shown)
        self.table.class_of.write(self._goals[shown])
        self.table.keys.write(np.arange(2 * lanes, dtype=np.uint32).reshape(lanes, 2) + first)
        self.go_on(0)

    def go_on(self, generation: int, lanes: int | None = None) -> None:
        """Let so many lanes (None: all) run this generation, whatever they have found."""
        running = np.arange(self.population.lanes) < (self.population.lanes if lanes is None else lanes)
        self.table.generations.write(np.where(running, generation, -1))
        self.table.winners.write(self.population.size)

    def wait(self) -> None:
        """Until all that was launched is done."""
        self.table.winners.read()

    def milliseconds(self, work: Callable[[], None], times: int = _TIMES) -> float:
        """Of one `work`, the mean of `times` in a row, after one that does not count."""
        work()
        self.wait()
        started = time.perf_counter()
        for _ in range(times):
            work()
        self.wait()
        return 1e3 * (time.perf_counter() - started) / times

    def recorded_milliseconds(self, launch: Callable[[], None]) -> float:
        """Of one launch, the mean of many in a CUDA graph: Python launches a short kernel slower than it runs."""

        def often() -> None:
            for _ in range(_TIMES):
                launch()

        return self.milliseconds(self.device.record(often)) / _TIMES

    def generation(self) -> tuple[float, int]:
        """Milliseconds of a generation of all lanes, the mean of many; and how many batches the network was shown.

        It is each time the second of the same lanes, as the populations go on and see fewer and fewer new candidates.
        """
        self._second_generation()
        times, batches = zip(*(self._second_generation() for _ in range(_TIMES)), strict=True)
        return 1e3 * sum(times) / _TIMES, batches[0]

    def _second_generation(self) -> tuple[float, int]:
        """Its seconds, and batches."""
        self.begin(0)
        self.table.generation(fresh=True)
        self.go_on(1)
        self.wait()
        started = time.perf_counter()
        shown = self.table.generation(fresh=False)
        self.wait()
        return time.perf_counter() - started, -(-int(shown.sum()) // self.table.rows)

    def network_alone(self, batches: int) -> float:
        """Milliseconds of so many batches of the network."""

        def work() -> None:
            for _ in range(batches):
                self.network.enqueue()

        return self.milliseconds(work)

    def kernels(self) -> tuple[KernelRow, ...]:
        """Each kernel's launches of one generation; `place_images` copies whole images, as it does to new lanes."""
        rows = []
        area = self.table.sizes.height * self.table.sizes.width
        for name, launches, launch in self.table.launches():
            self.go_on(1)
            if name == "place_images":
                self.table.forget()
            each = self.recorded_milliseconds(launch)
            moved = 2 * 3 * area * self.population.rows if name == "place_images" else None
            rows.append(KernelRow(name, launches, launches * each, moved and moved / each / 1e6))
        return tuple(rows)

    def copy_speed(self) -> float:
        """Gigabytes a second, read and written, of the driver's own copy."""
        source, target = (device_array(self.device, (_COPIED,), np.uint8) for _ in range(2))
        each = self.milliseconds(lambda: self.device.copy(target.pointer, source.pointer, _COPIED))
        return 2 * _COPIED / each / 1e6

    def whole_budget(self, images: int, progress: Callable[[int, int], None]) -> tuple[int, int, float]:
        """Every generation of `images` images with no early stop: candidates, how many were evaluated, and seconds."""
        self.wait()
        started, done, evaluated = time.perf_counter(), 0, 0
        for first in range(0, images, self.population.lanes):
            lanes = min(self.population.lanes, images - first)
            self.begin(first)
            for generation in range(self.last + 1):
                self.go_on(generation, lanes)
                evaluated += int(self.table.generation(fresh=generation == 0).sum())
            self.wait()
            done += lanes * self.population.size * (self.last + 1)
            progress(first + lanes, images)
        return done, evaluated, time.perf_counter() - started

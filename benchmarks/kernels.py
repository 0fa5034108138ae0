"""`pixelproof bench kernels`: what a generation on the GPU is made of, and a whole attack's speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device, device_array
from pixelproof.attack.cuda.networks import DeviceNetwork
from pixelproof.attack.cuda.table import Table as PopulationTable
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.latency import Progress
from pixelproof.benchmarks.results import Results, behind
from pixelproof.benchmarks.tables import Column, Table, make_table, number, percent
from pixelproof.errors import UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

_COPIED = 1 << 28  # bytes
_TIMES = 20
GENERATIONS = 100


@dataclass(frozen=True)
class KernelRow:
    """One part of a generation of all searches in flight."""

    part: str
    launches: int
    """A generation."""
    ms: float
    """Of all of them, launched one after another without the rest."""
    gigabytes_per_second: float | None
    """Read and written; None where that is not what it is limited by."""


@dataclass(frozen=True)
class KernelResults(Results):
    """What `pixelproof bench kernels` measured."""

    gpu: str
    classifier: str
    purifier: str | None
    network: str
    """What ran it on the GPU."""
    lanes: int
    population: int
    rows: int
    """Candidates a batch of the network."""
    kernels: tuple[KernelRow, ...]
    generation_ms: float
    network_ms: float
    """Its batches of a generation alone."""
    copy_gigabytes_per_second: float
    """Read and written by the driver's own copy of 256 MiB."""
    images: int
    candidates: int
    """Of all images, with the whole budget and no early stop."""
    seconds: float
    batches: int | None = None
    """Of the network in the generation that was timed; None: as many as all candidates ask for."""
    evaluated: int | None = None
    """Of `candidates`, those not seen before; None: all were evaluated."""

    @property
    def kernels_share(self) -> float:
        """Of a generation's time that is not the network's, 0 to 1."""
        return max(0.0, 1 - self.network_ms / self.generation_ms)

    @property
    def share_of_network_alone(self) -> float:
        """The candidates a second of whole generations by those of the network alone, 0 to 1."""
        return self.network_ms / self.generation_ms

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"A generation on {self.gpu}: {self.classifier}"

    def tables(self) -> tuple[Table, ...]:
        """A row a kernel, then the network and the whole."""
        whole = self.generation_ms
        columns = (
            Column("part", lambda row: row.part, is_text=True),
            Column("launches", lambda row: number(row.launches)),
            Column("ms a generation", lambda row: number(row.ms, 3)),
            Column("share", lambda row: percent(row.ms / whole)),
            Column("GB/s", lambda row: number(row.gigabytes_per_second)),
        )
        batches = self.batches or -(-self.lanes * self.population // self.rows)
        network = KernelRow(f"network ({self.network})", batches, self.network_ms, None)
        rows = (*self.kernels, network, KernelRow("generation", 1, whole, None))
        subject = behind(self.classifier, self.purifier)
        return (make_table(f"A generation on {self.gpu}: {subject}", columns, rows, self._notes()),)

    def _notes(self) -> tuple[str, ...]:
        seen = ""
        if self.evaluated is not None:
            share = percent(self.evaluated / self.candidates)
            seen = f"; {self.evaluated:,} of them ({share}) had not been seen before and were evaluated"
        return (
            f"{self.lanes:,} images of {self.population:,} candidates at a time, {self.rows:,} a batch of the "
            "network. Each part is timed without the rest; place_images copies whole images, as it does once to a lane "
            f"that takes a new one. The driver's own copy: {self.copy_gigabytes_per_second:,.0f} GB/s, both ways.",
            f"What is not the network takes {percent(self.kernels_share)} of a generation: candidates go by at "
            f"{percent(self.share_of_network_alone)} of the network's own speed.",
            f"{self.images:,} images, whole budget and no early stop: {self.candidates:,} candidates in "
            f"{self.seconds:,.1f} s, {self.candidates / self.seconds:,.0f} a second{seen}.",
        )


@dataclass(frozen=True)
class Population:
    """How many images at a time, candidates an image, and candidates a batch of the network."""

    lanes: int
    size: int
    rows: int


POPULATION = Population(lanes=64, size=400, rows=3200)


class Parts:
    """A table of in-flight searches that all run, whose parts can be timed.

    Their goal is each image's least probable class, which next to none reaches, so that populations evolve to the end.

    Args:
        device: the GPU.
        network: on it.
        images: uint8 `(n, H, W, 3)`, at least one a search.
        population: of each search.
        last: the last generation.
    """

    def __init__(
        self, device: Device, network: DeviceNetwork, images: NDArray[np.uint8], population: Population, last: int
    ) -> None:
        self.device, self.network, self.population, self.last = device, network, population, last
        self.table = PopulationTable(
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
        """Give the searches the images from `first` on (all over again behind the last), at their first generation."""
        lanes = self.population.lanes
        shown = (first + np.arange(lanes)) % self.table.image_count
        self.table.image_of.write(shown)
        self.table.class_of.write(self._goals[shown])
        self.table.keys.write(np.arange(2 * lanes, dtype=np.uint32).reshape(lanes, 2) + first)
        self.go_on(0)

    def go_on(self, generation: int, lanes: int | None = None) -> None:
        """Let so many searches (None: all) run this generation, whatever they have found."""
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
        """Milliseconds of a generation of all searches, the mean of many; and how many batches the network was shown.

        It is each time the second of the same searches: as populations go on, they see fewer and fewer new candidates.
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
        """Each kernel's launches of one generation; `place_images` copies whole images, as it does to new searches."""
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


def bench_kernels(
    bundle: Path,
    device: Device,
    *,
    images: int = 1000,
    population: Population = POPULATION,
    generations: int = GENERATIONS,
    purified: bool = False,
    command: str = "",
    progress: Progress = lambda *_: None,
) -> KernelResults:
    """Time each kernel, the network, whole generations, and the whole budget of many images.

    Args:
        bundle: its folder.
        device: the GPU; see `open_device`.
        images: whose whole budget is evaluated, the shipped ones over and over.
        population: how many images and candidates at a time.
        generations: after the first population.
        purified: the whole pipeline, not the bare classifier.
        command: for the record.
        progress: called with a stage, how much of it is done, and how much there is.

    Raises:
        BundleError: the bundle is missing or damaged.
        UsageError: a bundle for images of another size than the shipped ones.
        PixelproofError: the network does not run on the GPU, or there is too little memory.
    """
    shown = sample().images
    with Pipeline(bundle) as pipeline, Pipeline(bundle, part="classifier") as bare:
        if pipeline.image_size != shown.shape[1:3]:
            raise UsageError(f"kernels are timed on the shipped 32x32 images; '{bundle}' takes others. Next: another")
        victim = purified_pipeline(pipeline, bare) if purified else bare_classifier(bare)
        network = victim.on_device(images * population.size * (generations + 1))
        usual = replace(population, rows=min(population.rows, network.most_rows or population.rows))
        parts = Parts(device, network, np.resize(shown, (images, *shown.shape[1:])), usual, generations)
        progress("kernels", 0, 1)
        kernels, (generation_ms, batches) = parts.kernels(), parts.generation()
        network_ms = parts.network_alone(batches)
        copied = parts.copy_speed()
        progress("kernels", 1, 1)
        candidates, evaluated, seconds = parts.whole_budget(
            images, lambda done, total: progress("whole budget", done, total)
        )
        manifest = pipeline.manifest
    purifier = manifest["purifier"] if purified else None
    conditions = describe_conditions(
        provider=network.description, threads=None, data="the shipped CIFAR-10 test images", command=command, seed=0
    )
    return KernelResults(
        created=now(),
        conditions=conditions,
        gpu=device.name,
        classifier=manifest["classifier"]["name"],
        purifier=purifier and purifier["name"],
        network=network.description,
        lanes=usual.lanes,
        population=usual.size,
        rows=usual.rows,
        kernels=kernels,
        generation_ms=generation_ms,
        network_ms=network_ms,
        batches=batches,
        copy_gigabytes_per_second=copied,
        images=images,
        candidates=candidates,
        evaluated=evaluated,
        seconds=seconds,
    )

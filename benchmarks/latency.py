"""`pixelproof bench latency`: what a bundle's protection costs in time and memory, against the bare classifier.

Ways of running the same images are timed against one another in interleaved rounds.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.results import Results
from pixelproof.benchmarks.tables import Cell, Column, Table, make_table, number, percent
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Bundle, read_bundle

if TYPE_CHECKING:
    from pixelproof.benchmarks.latency_ways import Setting, Way

BATCHES = (1, 8, 64, 256)
ROUNDS = 100
STEADY = 0.05
"""The coefficient of variation up to which times count as steady."""
_WARM_UP = 5
Progress = Callable[[str, int, int], None]
"""Called with what is being measured, how much of it is done, and how much there is."""
_SPLITS = 21
FUSED = "ONNX, fused graph"
BARE = "ONNX, bare classifier"


@dataclass(frozen=True)
class LatencyRow:
    """One way of running a batch of `batch` images; times are milliseconds a batch over `rounds` rounds."""

    name: str
    provider: str
    """The execution provider that really ran, or the framework where it is not ONNX Runtime."""
    batch: int
    rounds: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    variation: float
    """Coefficient of variation: standard deviation by mean."""
    images_per_second: float
    """At the median."""
    ratio: float | None
    """Median by the bare classifier's, of the same rounds; None where it was not timed."""
    peak_memory_mib: float | None
    """Largest resident set of a process that does nothing else, interpreter and libraries included; None: unknown."""


COLUMNS = (
    Column("how", lambda row: row.name, is_text=True),
    Column("batch", lambda row: number(row.batch)),
    Column("p50 ms", lambda row: number(row.p50_ms, 3)),
    Column("times bare", lambda row: number(row.ratio, 2)),
    Column("p90 ms", lambda row: number(row.p90_ms, 3)),
    Column("p99 ms", lambda row: number(row.p99_ms, 3)),
    Column("variation", lambda row: Cell(percent(row.variation), warns=row.variation > STEADY)),
    Column("images/s", lambda row: number(row.images_per_second)),
    Column("peak MiB", lambda row: number(row.peak_memory_mib)),
)
_NOTES = (
    "Milliseconds a batch, from uint8 images to answers, timed in interleaved rounds. Times bare: p50 by the bare "
    "classifier's. Variation: standard deviation by mean. Images/s: at p50.",
    "Peak memory: of a process that does nothing else, interpreter and libraries included.",
)


@dataclass(frozen=True)
class LatencyResults(Results):
    """What `pixelproof bench latency` measured."""

    classifier: str
    purifier: str | None
    precision: str
    image_size: tuple[int, int]
    rows: tuple[LatencyRow, ...]
    notes: tuple[str, ...]
    """What was left out, and why; figures that vary too much."""

    @property
    def subject(self) -> str:
        """What was timed, in words."""
        purifier = f"behind {self.purifier}" if self.purifier else "with no purifier"
        return f"{self.classifier} {purifier}, {self.precision}"

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"Latency of {self.subject}"

    def tables(self) -> tuple[Table, ...]:
        """The latency table, batch size by batch size."""
        height, width = self.image_size
        caption = f"Latency: {self.subject}, images of {height}x{width}, {self.conditions.cpu}"
        notes = (*_NOTES, ran_on((row.provider, row.name) for row in self.rows), *self.notes)
        return (make_table(caption, COLUMNS, self.rows, notes, group=1),)


def ran_on(rows: Iterable[tuple[str, str]]) -> str:
    """Which of the rows, each a provider and a name, ran on what."""
    names: dict[str, dict[str, None]] = {}
    for provider, name in rows:
        names.setdefault(provider, {})[f"'{name}'"] = None
    return "Ran on " + "; on ".join(f"{provider}: {', '.join(held)}" for provider, held in names.items()) + "."


@dataclass(frozen=True)
class Contender:
    """Something to time: `run` takes uint8 images `(n, H, W, 3)` and comes back when the answer is there."""

    name: str
    provider: str
    """The execution provider that really runs, or the framework."""
    run: Callable[[NDArray[np.uint8]], Any]
    split: Callable[[NDArray[np.uint8]], tuple[float, float, float]] | None = None
    """Milliseconds of copying a batch to the GPU, of computing, and of copying back; None: it has no such parts."""
    clock: str = ""
    """What takes these times."""


def measure_latency(
    contenders: Sequence[Contender],
    images: NDArray[np.uint8],
    *,
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    baseline: str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[LatencyRow, ...]:
    """Time every contender at every batch size; the rows come batch by batch, in the contenders' order.

    A round times each contender once, and each round starts with the next of them, so that whatever else the machine
    does falls on all alike.

    Args:
        contenders: what to time, each with a name of its own.
        images: uint8 `(n, H, W, 3)`; a larger batch repeats them.
        batches: images a call.
        rounds: how often each contender is timed at each batch size.
        baseline: the name of the contender that ratios are of.
        progress: called after every round.

    Raises:
        UsageError: no contender, no image, or a batch or number of rounds below 1.
    """
    if not contenders or len(images) == 0:
        raise UsageError("there is nothing to time. Next: give one contender and one image or more")
    if rounds < 1 or not batches or min(batches) < 1:
        raise UsageError(
            f"expected rounds and batches of 1 or more, got {rounds} and {list(batches)}. "
            "Next: pixelproof bench latency BUNDLE --rounds 100 --batch 1,8,64,256"
        )
    rows: list[LatencyRow] = []
    for done, batch in enumerate(batches):
        content = images[np.arange(batch) % len(images)]
        _warm_up(contenders, content)
        times = np.empty((rounds, len(contenders)))
        for turn in range(rounds):
            times[turn] = _round(contenders, content, first=turn % len(contenders))
            progress("timing", done * rounds + turn + 1, len(batches) * rounds)
        rows += _rows(contenders, batch, times, baseline)
    return tuple(rows)


def _warm_up(contenders: Sequence[Contender], content: NDArray[np.uint8]) -> None:
    for _ in range(_WARM_UP):
        _round(contenders, content, first=0)


def _round(contenders: Sequence[Contender], content: NDArray[np.uint8], first: int) -> list[float]:
    """Milliseconds of each contender, in their order; run in turn from the one numbered `first`."""
    times = [0.0] * len(contenders)
    for offset in range(len(contenders)):
        index = (first + offset) % len(contenders)
        run = contenders[index].run
        started = time.perf_counter_ns()
        run(content)
        times[index] = (time.perf_counter_ns() - started) / 1e6
    return times


def _rows(
    contenders: Sequence[Contender], batch: int, times: NDArray[np.float64], baseline: str | None
) -> list[LatencyRow]:
    """A row a contender from `times`, milliseconds `(rounds, contenders)`."""
    p50, p90, p99 = np.percentile(times, [50, 90, 99], axis=0)
    variation = times.std(axis=0) / times.mean(axis=0)
    yardstick = next((p50[i] for i, contender in enumerate(contenders) if contender.name == baseline), None)
    return [
        LatencyRow(
            name=contender.name,
            provider=contender.provider,
            batch=batch,
            rounds=len(times),
            p50_ms=float(p50[index]),
            p90_ms=float(p90[index]),
            p99_ms=float(p99[index]),
            variation=float(variation[index]),
            images_per_second=float(batch / p50[index] * 1e3),
            ratio=None if yardstick is None else float(p50[index] / yardstick),
            peak_memory_mib=None,
        )
        for index, contender in enumerate(contenders)
    ]


def bench_latency(
    bundle: Path,
    *,
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    threads: int | None = None,
    backend: str = "auto",
    beside: Sequence[Path] = (),
    compiled: bool = False,
    command: str = "",
    progress: Progress = lambda stage, done, total: None,
) -> LatencyResults:
    """Time the bundle in the folder `bundle` in every way that this machine has.

    Args:
        bundle: the bundle's folder.
        batches: images a call.
        rounds: how often each way is timed at each batch size.
        threads: CPU threads a call may use; None: one a core.
        backend: the runtime's, "auto" or a name.
        beside: other bundles, of the same networks in another precision mostly, whose graphs are timed too.
        compiled: also time what `torch.compile` makes of the networks, which takes it a minute or two.
        command: what to write down as the command that measured this.
        progress: called after every round and every measurement of memory.

    Raises:
        UsageError: unfit arguments.
        BundleError: no whole bundle there.
        BackendError: the backend does not run.
    """
    from pixelproof.benchmarks.latency_ways import Setting

    opened = read_bundle(bundle)
    setting = Setting(bundle, opened.manifest, backend, threads)
    others = _beside(opened, beside, setting)
    images, data = _images(opened.image_size)
    with ExitStack() as stack:
        ways, notes = _open(setting, others, compiled, stack)
        contenders = list(ways)
        rows = measure_latency(contenders, images, batches=batches, rounds=rounds, baseline=BARE, progress=progress)
        notes += [_split(contender, images, batch) for contender in contenders for batch in batches if contender.split]
    rows = _with_memory(rows, ways, progress)
    provider = next(row.provider for row in rows if row.name == BARE)
    conditions = describe_conditions(provider=provider, threads=threads, data=data, command=command)
    notes += _cautions(rows)
    return LatencyResults(
        created=now(),
        conditions=conditions,
        classifier=opened.manifest["classifier"]["name"],
        purifier=opened.manifest["purifier"] and opened.manifest["purifier"]["name"],
        precision=opened.manifest["precision"],
        image_size=opened.image_size,
        rows=rows,
        notes=tuple(notes),
    )


def _beside(measured: Bundle, paths: Sequence[Path], setting: "Setting") -> "list[Setting]":
    """How to open the other bundles; `UsageError` where they take other images, or cannot be distinguished."""
    others: list[Setting] = []
    for path in paths:
        opened = read_bundle(path)
        if opened.image_size != measured.image_size:
            sizes = [f"{height}x{width}" for height, width in (opened.image_size, measured.image_size)]
            raise UsageError(
                f"bundle '{path}' takes {sizes[0]} images, and '{measured.path}' {sizes[1]}. "
                "Next: bundles of the same networks"
            )
        name = str(opened.manifest["precision"])
        if name in [other.beside for other in others] or name == measured.manifest["precision"]:
            name = path.resolve().name
        others.append(dataclasses.replace(setting, bundle=path, manifest=opened.manifest, beside=name))
    return others


def _open(
    setting: "Setting", others: "Sequence[Setting]", compiled: bool, stack: ExitStack
) -> "tuple[dict[Contender, tuple[Way, Setting]], list[str]]":
    """Every way that can be timed, opened until `stack` closes, and a note on each that cannot."""
    from pixelproof.benchmarks.latency_ways import BESIDE, COMPILED, ON_GPU, WAYS, Absent, gpu_here

    gpu = None if setting.backend == "cpu" else gpu_here()
    ways_here = WAYS if gpu is None else (*WAYS, *ON_GPU)
    wanted = [(way, setting) for way in ways_here if compiled or way not in COMPILED]
    wanted += [(way, other) for other in others for way in BESIDE]
    ways: dict[Contender, tuple[Way, Setting]] = {}
    notes = [] if gpu is None else [f"GPU: {gpu}"]
    for way, chosen in wanted:
        try:
            ways[stack.enter_context(way(chosen))] = way, chosen
        except Absent as reason:
            notes.append(f"Not timed: {chosen.named(way.__name__.replace('_', ' '))}, because {reason}")
    return ways, notes


def _split(contender: Contender, images: NDArray[np.uint8], batch: int) -> str:
    """The medians of a batch's parts on the GPU, in words."""
    assert contender.split is not None
    content = images[np.arange(batch) % len(images)]
    try:
        there, computed, back = np.median([contender.split(content) for _ in range(_SPLITS)], axis=0)
    except PixelproofError as error:
        return f"{contender.name}, batch {batch:,}: its parts are not timed, because {error.reason}"
    return (
        f"{contender.name}, batch {batch:,}, its parts by {contender.clock}: {there:.3f} ms to copy it to the GPU, "
        f"{computed:.3f} to compute, {back:.3f} to copy everything back (medians of {_SPLITS})."
    )


def _with_memory(
    rows: tuple[LatencyRow, ...], ways: "dict[Contender, tuple[Way, Setting]]", progress: Progress
) -> tuple[LatencyRow, ...]:
    from pixelproof.benchmarks.latency_ways import peak_memory

    batches = sorted({row.batch for row in rows})
    peaks = {}
    for done, (contender, (way, setting)) in enumerate(ways.items(), start=1):
        peaks[contender.name] = peak_memory(way, setting, batches)
        progress("peak memory", done, len(ways))
    return tuple(dataclasses.replace(row, peak_memory_mib=peaks[row.name].get(row.batch)) for row in rows)


def _images(size: tuple[int, int]) -> tuple[NDArray[np.uint8], str]:
    """The shipped sample, repeated side by side where the bundle takes another size, and what to call it."""
    images = sample().images
    if images.shape[1:3] == size:
        return images, "the shipped CIFAR-10 test images"
    rows, columns = (np.arange(length) % images.shape[1] for length in size)
    return images[:, rows][:, :, columns], f"the shipped CIFAR-10 test images, tiled to {size[0]}x{size[1]}"


def _cautions(rows: Sequence[LatencyRow]) -> list[str]:
    """What a reader of the figures has to know of how they came about."""
    from pixelproof.benchmarks.latency_ways import idle_thread_cautions

    cautions = idle_thread_cautions()
    unsteady = [row for row in rows if row.variation > STEADY]
    if unsteady:
        worst = max(unsteady, key=lambda row: row.variation)
        cautions.append(
            f"Times vary by more than {STEADY * 100:.0f} % (coefficient of variation) in {len(unsteady)} of "
            f"{len(rows)} rows, most in '{worst.name}' at batch {worst.batch} ({worst.variation * 100:.0f} %): "
            "something else was running; trust medians and their ratios more than p99."
        )
    return cautions

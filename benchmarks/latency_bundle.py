"""What a bundle's protection costs in time and memory: every way of running it, against the bare classifier."""

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import LatencyResults, LatencyRow
from pixelproof.benchmarks.latency import BATCHES, ROUNDS, STEADY, Contender, Progress, measure_latency
from pixelproof.benchmarks.latency_memory import peak_memory
from pixelproof.benchmarks.latency_on_gpu import ON_GPU, gpu_here
from pixelproof.benchmarks.latency_ways import (
    BARE,
    BESIDE,
    COMPILED,
    WAYS,
    Absent,
    Setting,
    Way,
    idle_threads_spin,
)
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.models.data import sample
from pixelproof.runtime import Bundle, read_bundle

_SPLITS = 21


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


def _beside(measured: Bundle, paths: Sequence[Path], setting: Setting) -> list[Setting]:
    """How to open the other bundles; `UsageError` where they take other images, or cannot be told apart."""
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
    setting: Setting, others: Sequence[Setting], compiled: bool, stack: ExitStack
) -> tuple[dict[Contender, tuple[Way, Setting]], list[str]]:
    """Every way that can be timed, opened until `stack` closes, and a note on each that cannot."""
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
    rows: tuple[LatencyRow, ...], ways: dict[Contender, tuple[Way, Setting]], progress: Progress
) -> tuple[LatencyRow, ...]:
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
    cautions = []
    if idle_threads_spin():
        cautions.append("PyTorch was loaded without OMP_WAIT_POLICY=passive: its idle threads slow whatever runs next.")
    unsteady = [row for row in rows if row.variation > STEADY]
    if unsteady:
        worst = max(unsteady, key=lambda row: row.variation)
        cautions.append(
            f"Times vary by more than {STEADY * 100:.0f} % (coefficient of variation) in {len(unsteady)} of "
            f"{len(rows)} rows, most in '{worst.name}' at batch {worst.batch} ({worst.variation * 100:.0f} %): "
            "something else was running; trust medians and their ratios more than p99."
        )
    return cautions

"""Times several ways of running the same images against one another, in interleaved rounds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.benchmarks.formats import LatencyRow
from pixelproof.errors import UsageError

BATCHES = (1, 8, 64, 256)
ROUNDS = 100
STEADY = 0.05
"""The coefficient of variation up to which times count as steady."""
_WARM_UP = 5

Progress = Callable[[str, int, int], None]
"""Called with what is being measured, how much of it is done, and how much there is."""


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
        for number in range(rounds):
            times[number] = _round(contenders, content, first=number % len(contenders))
            progress("timing", done * rounds + number + 1, len(batches) * rounds)
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

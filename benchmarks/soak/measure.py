"""Runs the soak's processes one after the other, and times cold ones."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import ColdStart, MemorySample, SoakResults, SoakRow
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.runtime import Pipeline

ROUNDS, IMAGES, STARTS = 10_000, 1_000_000, 11
_WORK = {"rounds": "open, run one image, close", "images": "images"}
_IMPORT = "import pixelproof.runtime"
_FIRST = """
import sys
import numpy
from pixelproof.runtime import Pipeline
with Pipeline(sys.argv[1], backend=sys.argv[2]) as pipeline:
    pipeline(numpy.zeros((1, *pipeline.image_size, 3), numpy.uint8))
"""

Progress = Callable[[str, int, int], None]
"""Called with what is under way, how much of it is done, and how much there is."""


def bench_soak(
    bundle: Path,
    *,
    rounds: int = ROUNDS,
    images: int = IMAGES,
    starts: int = STARTS,
    backend: str = "auto",
    threads: int | None = None,
    command: str = "",
    progress: Progress = lambda *_: None,
) -> SoakResults:
    """Open, run and close a bundle many times, run many images, and time cold processes.

    Args:
        bundle: its folder.
        rounds: of opening, running one image and closing.
        images: to run through one opened pipeline.
        starts: cold processes of each kind.
        backend: the runtime's, "auto" or a name.
        threads: CPU threads a call may use.
        command: for the record.
        progress: told what is under way.

    Raises:
        UsageError: a count below 1.
        BundleError: no whole bundle there.
        BackendError: the backend does not run.
        PixelproofError: one of the processes failed.
    """
    if min(rounds, images, starts) < 1:
        raise UsageError(
            f"expected 1 round, image and start or more, got {rounds}, {images} and {starts}. "
            "Next: pixelproof bench soak BUNDLE"
        )
    with Pipeline(bundle, backend=backend, threads=threads) as pipeline:
        chosen, provider, manifest = pipeline.backend, pipeline.provider, pipeline.manifest
    first = ("first result of the bundle", [_FIRST, str(bundle), chosen])
    cold = [_cold(what, code, starts, progress) for what, code in (("import pixelproof.runtime", [_IMPORT]), first)]
    task = [str(bundle), chosen, threads]
    rows = [_soaked(kind, task, count, progress) for kind, count in (("rounds", rounds), ("images", images))]
    conditions = describe_conditions(
        provider=provider, threads=threads, data="black and random images", command=command, seed=0
    )
    return SoakResults(
        created=now(),
        conditions=conditions,
        classifier=manifest["classifier"]["name"],
        purifier=manifest["purifier"] and manifest["purifier"]["name"],
        rows=tuple(rows),
        starts=tuple(cold),
    )


def _cold(what: str, code: list[str], runs: int, progress: Progress) -> ColdStart:
    times = []
    for done in range(runs + 1):  # the first, which may read from the disk, is left out
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", *code], check=True, capture_output=True)
        times.append(1e3 * (time.perf_counter() - started))
        progress(what, done, runs)
    return ColdStart(what, runs, statistics.median(times[1:]), max(times[1:]))


def _soaked(kind: str, task: Sequence[object], count: int, progress: Progress) -> SoakRow:
    command = [sys.executable, "-m", "pixelproof.benchmarks.soak.work", kind, json.dumps([*task, count])]
    told: list[tuple[int, float, float | None]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                done, seconds, mib = json.loads(line)
                told.append((done, seconds, mib))
                progress(_WORK[kind], done, count)
        except BaseException:  # leaving waits for the process, which hears of it at its next sample alone
            process.kill()
            raise
    if process.returncode:
        raise PixelproofError(
            f"the process that was to do {count:,} {kind} ended with code {process.returncode} after "
            f"{told[-1][0] if told else 0:,}. Next: pixelproof doctor"
        )
    memory = tuple(MemorySample(done, mib) for done, _, mib in told if mib is not None)
    return SoakRow(_WORK[kind], count, told[-1][1], memory, growth([sample.mib for sample in memory]))


def growth(mib: list[float]) -> float | None:
    """The median of the last quarter less that of the second; None of fewer than four."""
    quarter = len(mib) // 4
    if not quarter:
        return None
    return statistics.median(mib[-quarter:]) - statistics.median(mib[quarter : 2 * quarter])

"""What lasts: `pixelproof bench soak`, `growth` and `survival`, each in processes of their own.

Soak does the same work over and over and watches memory; growth attacks few images, more, and very many; survival kills
an attack again and again, and compares what it finds in the end with one that was left alone.
"""

import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.latency import Progress
from pixelproof.benchmarks.process import attack_command, finish, memory_is_told, outcomes, resident_mib, summary
from pixelproof.benchmarks.results import Results, behind
from pixelproof.benchmarks.tables import NOTHING, Column, Table, make_table, number
from pixelproof.codec import encode
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER
from pixelproof.runtime.onnx_bytes import graph_sha256

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
SAMPLES = 40
"""How often a soak's memory is noted."""
BATCH = 256
SIZES = (100, 1_000, 7_500)
KILLS = 50
_COMPARED = ("image", "success", "pixels", "colours", "queries", "exhausted")


@dataclass(frozen=True)
class MemorySample:
    """The resident set of a process after so many rounds or images."""

    done: int
    mib: float


@dataclass(frozen=True)
class SoakRow:
    """One kind of work, done over and over in a process that does nothing else."""

    work: str
    """What is counted, such as "open, run, close"."""
    count: int
    seconds: float
    memory: tuple[MemorySample, ...]
    growth_mib: float | None
    """The median resident set of the last quarter less that of the second; None where the system does not report it."""


def _end(row: SoakRow, index: int) -> str:
    return number(row.memory[index].mib, 1) if row.memory else NOTHING


COLUMNS = (
    Column("work", lambda row: row.work, is_text=True),
    Column("count", lambda row: number(row.count)),
    Column("seconds", lambda row: number(row.seconds, 1)),
    Column("ms each", lambda row: number(1e3 * row.seconds / row.count, 3)),
    Column("MiB, first", lambda row: _end(row, 0)),
    Column("MiB, last", lambda row: _end(row, -1)),
    Column("growth, MiB", lambda row: NOTHING if row.growth_mib is None else f"{row.growth_mib:+,.1f}"),
)
_NOTE = (
    "Resident set of a process that does nothing else, interpreter and libraries included. Growth: its median over the "
    "last quarter of the work less that over the second."
)


@dataclass(frozen=True)
class ColdStart:
    """What a process that does nothing else waits for, from its start on."""

    what: str
    runs: int
    median_ms: float
    slowest_ms: float


@dataclass(frozen=True)
class SoakResults(Results):
    """What `pixelproof bench soak` measured."""

    classifier: str
    purifier: str | None
    rows: tuple[SoakRow, ...]
    starts: tuple[ColdStart, ...]

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"Soak of {self.classifier}"

    def tables(self) -> tuple[Table, ...]:
        """A row a kind of work; the cold starts stand below."""
        starts = (
            f"{start.what}: {start.median_ms:,.0f} ms from the start of a new process (median of {start.runs}; slowest "
            f"{start.slowest_ms:,.0f})."
            for start in self.starts
        )
        return (make_table(f"Soak of {behind(self.classifier, self.purifier)}", COLUMNS, self.rows, (_NOTE, *starts)),)


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
        progress: called with a stage, how much of it is done, and how much there is.

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
    command = [sys.executable, "-c", f"from {__name__} import work; work()", kind, json.dumps([*task, count])]
    reported: list[tuple[int, float, float | None]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                done, seconds, mib = json.loads(line)
                reported.append((done, seconds, mib))
                progress(_WORK[kind], done, count)
        except BaseException:  # leaving waits for the process, which hears of it at its next sample alone
            process.kill()
            raise
    if process.returncode:
        raise PixelproofError(
            f"the process that was to do {count:,} {kind} ended with code {process.returncode} after "
            f"{reported[-1][0] if reported else 0:,}. Next: pixelproof doctor"
        )
    memory = tuple(MemorySample(done, mib) for done, _, mib in reported if mib is not None)
    return SoakRow(_WORK[kind], count, reported[-1][1], memory, growth([sample.mib for sample in memory]))


def growth(mib: list[float]) -> float | None:
    """The median of the last quarter less that of the second; None of fewer than four."""
    quarter = len(mib) // 4
    if not quarter:
        return None
    return statistics.median(mib[-quarter:]) - statistics.median(mib[quarter : 2 * quarter])


def _rounds(bundle: str, backend: str, threads: int | None, count: int) -> None:
    """Open the bundle, run one image, and close it, `count` times."""

    def once(_: int) -> int:
        with Pipeline(bundle, backend=backend, threads=threads) as pipeline:
            pipeline(np.zeros((1, *pipeline.image_size, 3), np.uint8))
        return 1

    _repeat(once, count)


def _images(bundle: str, backend: str, threads: int | None, count: int) -> None:
    """Run `count` random images, in batches of `BATCH` and now and then fewer."""
    draw = np.random.default_rng(0)
    with Pipeline(bundle, backend=backend, threads=threads) as pipeline:
        content = draw.integers(0, 256, (BATCH, *pipeline.image_size, 3), np.uint8)

        def once(left: int) -> int:
            rows = min(left, BATCH if draw.random() < 0.9 else int(draw.integers(1, BATCH)))
            return len(pipeline(content[:rows]).labels)

        _repeat(once, count)


def _repeat(once: Callable[[int], int], count: int) -> None:
    """Call `once` with what is left until it has done `count`; a line of JSON at each sample."""
    started, done, reported = time.perf_counter(), 0, 0
    while done < count:
        done += once(count - done)
        if done * SAMPLES >= (reported + 1) * count:
            reported = done * SAMPLES // count
            memory = resident_mib() if memory_is_told() else None
            print(json.dumps([done, time.perf_counter() - started, memory]), flush=True)


def work() -> None:
    """What a soak's process does: the work and its arguments come by the command line."""
    kinds: dict[str, Callable[[str, str, int | None, int], None]] = {"rounds": _rounds, "images": _images}
    kinds[sys.argv[1]](*json.loads(sys.argv[2]))


def grow(
    bundle: Path,
    *,
    data: Path | None = None,
    sizes: tuple[int, ...] = SIZES,
    method: str = "corners",
    threads: int = 1,
    command: str = "",
) -> dict[str, Any]:
    """Attack the first `sizes` images that the bare classifier gets right, each number in a process of its own.

    Args:
        bundle: its folder.
        data: CIFAR-10; the 200 shipped images where None.
        sizes: numbers of images.
        method: of the attack.
        threads: CPU threads a call may use.
        command: for the record.

    Returns:
        For each number its seconds an image (of the search alone), queries a second, success, the seconds of the
        process's start and end, and the largest resident set.

    Raises:
        PixelproofError: an attack failed.
    """
    opened = read_bundle(bundle)
    rows, said = zip(*(_measured(attack_command(bundle, data, size, method, threads)) for size in sizes), strict=True)
    name, graph = opened.manifest["classifier"]["name"], opened.files[CLASSIFIER]
    conditions = {"provider": said[-1]["provider"], "data": said[-1]["data"], "threads": threads, "command": command}
    return {**heading("growth", name, graph, **conditions), "method": method, "rows": list(rows)}


def _measured(command: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of one number of images, and what the attack says of itself."""
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
        records, folder = Path(made) / "records", Path(made) / "found"
        command = [*command, "--records", str(records)]
        whole = finish(command)
        finish([*command, "-o", str(folder)])  # from the records: nothing is attacked again
        found, said = outcomes(folder), summary(folder)
    seconds = sum(outcome["seconds"] for outcome in found)
    queries = sum(outcome["queries"] for outcome in found)
    row = {
        "images": len(found),
        "success": sum(outcome["success"] for outcome in found) / len(found),
        "queries_per_image": queries / len(found),
        "queries_per_s": queries / seconds,
        "seconds_per_image": seconds / len(found),
        "start_s": whole.seconds - seconds,
        "peak_mib": whole.peak_mib,
    }
    return row, said


def survive(
    bundle: Path, *, kills: int = KILLS, images: int = 100, method: str = "de", seed: int = 0, command: str = ""
) -> dict[str, Any]:
    """Attack `images` shipped images in processes of which `kills` are killed (SIGKILL) at random moments.

    Args:
        bundle: its folder; its bare classifier is attacked.
        kills: how many processes are killed; fewer where the attack has ended before.
        images: to attack.
        method: of the attack.
        seed: of the moments.
        command: for the record.

    Returns:
        The kills, how many images were done at each, and whether every image's outcome is that of an unbroken run.

    Raises:
        PixelproofError: an attack failed.
    """
    draw, opened = random.Random(seed), read_bundle(bundle)
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
        folder = Path(made)
        attack = [*attack_command(bundle, None, images, method, threads=1), "--records"]
        alone = finish([*attack, str(folder / "whole-records"), "-o", str(folder / "whole")]).seconds
        # nothing is left to do
        idle = finish([*attack, str(folder / "whole-records"), "-o", str(folder / "again")]).seconds
        slice_s = max(0.05, alone - idle) / kills
        moments = []
        for _ in range(kills):
            moment = idle * draw.uniform(0.2, 1.0) + draw.uniform(0, 1.4) * slice_s
            if not _kill([*attack, str(folder / "broken-records")], moment):
                break
            moments.append(moment)
        finish([*attack, str(folder / "broken-records"), "-o", str(folder / "broken")])
        whole, broken = (_outcomes(folder / name) for name in ("whole", "broken"))
        said = summary(folder / "whole")
    name, graph = opened.manifest["classifier"]["name"], opened.files[CLASSIFIER]
    conditions = {"provider": said["provider"], "data": said["data"], "threads": 1, "command": command, "seed": seed}
    return {
        **heading("survival", name, graph, **conditions),
        "method": method,
        "images": images,
        "kills": len(moments),
        "seconds_unbroken": alone,
        "kill_moments_s": moments,
        "same_outcomes": sum(one == other for one, other in zip(whole, broken, strict=True)),
        "of": len(whole),
    }


def _kill(command: list[str], moment: float) -> bool:
    """Whether the process was still running when it was to be killed; if not, nothing was left to do."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
    return False


def _outcomes(folder: Path) -> list[dict[str, Any]]:
    return [{name: outcome[name] for name in _COMPARED} for outcome in outcomes(folder)]


def heading(kind: str, classifier: str, graph: bytes, **conditions: Any) -> dict[str, Any]:  # noqa: ANN401
    """What results without a table begin with: their kind and date, what was measured, and how.

    Args:
        kind: of the results.
        classifier: its name.
        graph: the ONNX file that ran.
        conditions: as for `describe_conditions`.
    """
    return {
        "kind": kind,
        "created": now(),
        "classifier": classifier,
        "graph_sha256": graph_sha256(graph),
        "conditions": encode(describe_conditions(**conditions)),
    }

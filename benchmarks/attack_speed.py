"""`pixelproof bench attack`: how fast attacks find what they find, beside other projects', image by image in turn."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.half_precision import pytorch_threads
from pixelproof.attack.evaluation.records import Record, Store
from pixelproof.attack.evaluation.searches import Task, holds
from pixelproof.attack.evaluation.settings import DataChoice, check_fit, check_some
from pixelproof.benchmarks.attack_speed_contenders import CONTENDERS, Make, Target, peak_memory
from pixelproof.benchmarks.attack_speed_peers import ART_POPULATION, Budget, Contender, peer_versions
from pixelproof.benchmarks.conditions import Conditions, describe_conditions, now
from pixelproof.benchmarks.latency import Progress, ran_on
from pixelproof.benchmarks.latency_ways import Absent, idle_thread_cautions
from pixelproof.benchmarks.results import Results, classifiers_of
from pixelproof.benchmarks.tables import Cell, Column, Table, make_table, number, share_cell
from pixelproof.deprecation import keyword_renamed
from pixelproof.errors import UsageError
from pixelproof.models.data import ImageSet
from pixelproof.statistics import Share

_REVISION = 2
"""Of how the contenders search; another one makes times that are not to be mixed with those of before."""


@dataclass(frozen=True)
class AttackSpeedRow:
    """One attack on one classifier, one image at a time; a query is an image that the network was shown."""

    classifier: str
    attack: str
    peer: bool
    """Of another project."""
    provider: str
    """The execution provider that really ran, or the framework where it is not ONNX Runtime."""
    n: int
    attack_success: Share
    """Verified in uint8 by the bundle as deployed."""
    seconds_per_image: float
    seconds_median: float
    seconds_p90: float
    queries_per_image: float
    queries_median: float
    queries_p90: float
    queries_per_second: float
    """All queries by all seconds."""
    times_faster: float | None
    """The seconds an image of the faster peer by this attack's; None where no peer ran."""
    peak_memory_mib: float | None
    """Largest resident set of a process that does nothing else, interpreter and libraries included; None: unknown."""


COLUMNS = (
    Column("classifier", lambda row: row.classifier, is_text=True),
    Column("attack", lambda row: row.attack, is_text=True),
    Column("success", lambda row: share_cell(row.attack_success)),
    Column(
        "s/image",
        lambda row: Cell(
            number(row.seconds_per_image, 3), f"{number(row.seconds_median, 3)} / {number(row.seconds_p90, 3)}"
        ),
    ),
    Column("times faster", lambda row: number(row.times_faster, 2)),
    Column(
        "queries/image",
        lambda row: Cell(number(row.queries_per_image), f"{number(row.queries_median)} / {number(row.queries_p90)}"),
    ),
    Column("queries/s", lambda row: number(row.queries_per_second)),
    Column("peak MiB", lambda row: number(row.peak_memory_mib)),
    Column("n", lambda row: number(row.n)),
)
_NOTES = (
    "Beside or below a percentage: its 95 % Wilson interval. Beside or below a mean: median / 90th percentile.",
    "All attacks in turn on each image, one image a call, each beginning in turn. Success: the uint8 image, written "
    "and read back, differs in one pixel at most and is misclassified by the bundle as deployed. What the other "
    "projects give is rounded to uint8 first.",
    "Times faster: the mean time of the faster of the other projects, on the same classifier, by this attack's.",
    "Queries: images that the network was shown, whatever for: candidates, those in flight behind a winner too, and "
    "looks at the unchanged image and at the winner. Rows that only fill a batch are not counted, nor is the gradient, "
    "whose time is. Queries/s: all queries by all seconds.",
    "Peak memory: of a process that does nothing else, interpreter and libraries included.",
)


@dataclass(frozen=True)
class AttackSpeedResults(Results):
    """What `pixelproof bench attack` measured."""

    generations: int
    """Of differential evolution, after the first population."""
    population: int
    rows: tuple[AttackSpeedRow, ...]
    notes: tuple[str, ...]
    """What was left out, and why; how the figures are to be read."""

    def title(self) -> str:
        """What was measured, in a few words."""
        return f"Speed of attacks on {classifiers_of(self.rows)}"

    def tables(self) -> tuple[Table, ...]:
        """The attacks, classifier by classifier."""
        caption = (
            f"Speed of one-pixel attacks, differential evolution of {self.generations:,} generations of "
            f"{self.population:,}, {self.conditions.cpu}"
        )
        return (make_table(caption, COLUMNS, self.rows, (*_NOTES, *self.notes)),)


@dataclass(frozen=True)
class AttackSpeedSettings:
    """How attacks are compared.

    Attributes:
        images: attack the first so many images that the bundle's classifier gets right: one number for all bundles,
            or one for each.
        budget: of differential evolution.
        measure_memory: run each attack once more, in a process of its own, for its peak memory.
    """

    images: tuple[int, ...] = (50,)
    budget: Budget = field(default_factory=Budget)
    measure_memory: bool = True


@keyword_renamed("folder", "records")
def bench_attack(
    bundles: Sequence[Path],
    choice: DataChoice,
    settings: AttackSpeedSettings,
    *,
    records: Path,
    command: str,
    threads: int | None = None,
    contenders: Sequence[Make] = CONTENDERS,
    progress: Progress = lambda stage, done, total: None,
) -> AttackSpeedResults:
    """Compare the contenders on each bundle's classifier.

    Args:
        bundles: of shipped classifiers.
        choice: images of their size and classes.
        settings: how.
        records: folder of each image's outcome, from which a measurement that was stopped goes on, under the same
            conditions.
        command: the command line, for the record.
        threads: CPU threads a call may use; None: one a core.
        contenders: makers of what is compared.
        progress: called after every image and every measurement of memory.

    Raises:
        UsageError: a bundle of a classifier that is not shipped, data that do not fit or none that it gets right, or
            `images` neither one number nor one for each bundle.
        BundleError: a bundle that is missing or damaged.
        DataError: kept outcomes that are damaged.
        PixelproofError: PyTorch is not installed.
    """
    counts = _counts(settings.images, len(bundles))
    rows: list[AttackSpeedRow] = []
    notes: list[str] = []
    with ExitStack() as stack:
        # First, since a target's cascade sets it too, and sets back what it found.
        stack.enter_context(pytorch_threads(threads, purpose="comparing attacks"))
        targets = [stack.enter_context(closing(Target(bundle, threads))) for bundle in bundles]
        for target in targets:  # what is unfit is refused before the long work
            check_fit(target.bundle, target.deployed, choice.images)
        conditions = _conditions(targets, settings.budget, choice, command, threads)
        for target, count in zip(targets, counts, strict=True):
            comparison = _Comparison(target, choice, settings, conditions, records, progress)
            rows += comparison.run(contenders, count)
            notes += comparison.notes
    return AttackSpeedResults(
        created=now(),
        conditions=conditions,
        generations=settings.budget.generations,
        population=settings.budget.population,
        rows=tuple(rows),
        notes=tuple(dict.fromkeys([*notes, *_cautions(rows, settings.budget)])),
    )


class _Comparison:
    """One classifier; `notes` says what was left out and what is of an earlier run."""

    def __init__(
        self,
        target: Target,
        choice: DataChoice,
        settings: AttackSpeedSettings,
        conditions: Conditions,
        folder: Path,
        progress: Progress,
    ) -> None:
        self.target, self.choice, self.settings, self.conditions = target, choice, settings, conditions
        self.folder, self.progress = folder, progress
        self.notes: list[str] = []

    def run(self, makers: Sequence[Make], count: int) -> list[AttackSpeedRow]:
        """Attack the first `count` images that the classifier gets right."""
        data, target, budget = self.choice.images, self.target, self.settings.budget
        chosen = np.flatnonzero(target.deployed.predict(data.images).argmax(1) == data.labels)[:count]
        check_some(target.bundle, chosen, data)
        contenders, made = self._made(makers)
        image, label = data.images[chosen[0]], int(data.labels[chosen[0]])
        with ExitStack() as opened:
            stores = [opened.enter_context(closing(self._store(each))) for each in contenders]
            if any(int(index) not in store.records for store in stores for index in chosen):
                for make in made:  # first calls cost more
                    make(target, dataclasses.replace(budget, generations=1)).attack(image, label)
            kept = attack_in_turns(target, contenders, data, chosen, stores, self._stage("attacking"))
            records = [[store.records[index] for index in chosen.tolist()] for store in stores]
        if kept:
            total = len(chosen) * len(contenders)
            self.notes.append(
                f"{target.name}: {kept:,} of {total:,} outcomes are of an earlier run, kept in its records."
            )
        peaks: list[float | None] = [None] * len(contenders)
        if self.settings.measure_memory:
            for done, make in enumerate(made):
                peaks[done] = peak_memory(make, target, budget, image, label)
                self._stage("peak memory")(done + 1, len(made))
        return speed_rows(target.name, contenders, records, peaks)

    def _made(self, makers: Sequence[Make]) -> tuple[list[Contender], list[Make]]:
        """The contenders that there are here, and the maker of each."""
        contenders, made = [], []
        for make in makers:
            try:
                contenders.append(make(self.target, self.settings.budget))
                made.append(make)
            except Absent as reason:
                self.notes.append(f"Not run: {reason}")
        return contenders, made

    def _store(self, contender: Contender) -> Store:
        """The records of one contender under these very conditions: times of others are not to be mixed in."""
        held = self.conditions
        machine: dict[str, Any] = {"cpu": held.cpu, "cores": held.cores, "threads": held.threads}
        asked = {"attack": contender.name, **dataclasses.asdict(self.settings.budget)}
        of: dict[str, Any] = {"victim": self.target.identity, "data": self.choice.name, "versions": held.versions}
        of["revision"] = _REVISION
        return Store(self.folder, asked | machine | of)

    def _stage(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(f"{self.target.name}: {name}", done, total)


def _counts(images: tuple[int, ...], bundles: int) -> tuple[int, ...]:
    if min(images, default=0) < 1 or len(images) not in (1, bundles):
        raise UsageError(
            f"expected one number of images, or one for each of {bundles} bundles, each 1 or more, got "
            f"{','.join(map(str, images))}. Next: pixelproof bench attack BUNDLE BUNDLE --images 50,10"
        )
    return images * bundles if len(images) == 1 else images


def _conditions(
    targets: Sequence[Target], budget: Budget, choice: DataChoice, command: str, threads: int | None
) -> Conditions:
    providers = dict.fromkeys(target.deployed.provider for target in targets)
    conditions = describe_conditions(
        provider=", ".join(providers), threads=threads, data=choice.name, command=command, seed=budget.seed
    )
    return dataclasses.replace(conditions, versions=conditions.versions | peer_versions())


def _cautions(rows: Sequence[AttackSpeedRow], budget: Budget) -> list[str]:
    """What a reader of the figures has to know of how they came about."""
    cautions = [ran_on((row.provider, row.attack) for row in rows)]
    if budget.population != ART_POPULATION and any(row.peer and row.attack.startswith("ART") for row in rows):
        cautions.append(f"ART sets its own population, {ART_POPULATION}; torchattacks rounds down to a multiple of 5.")
    return cautions + idle_thread_cautions()


def attack_in_turns(
    target: Target,
    contenders: Sequence[Contender],
    data: ImageSet,
    chosen: NDArray[np.int64],
    stores: Sequence[Store],
    progress: Callable[[int, int], None],
) -> int:
    """Attack each image by every contender, the first of them another one at each image.

    Args:
        target: whose deployed classifier has the last word on each success.
        contenders: warmed up.
        data: all images.
        chosen: which to attack, indices into `data`.
        stores: each contender's records; what is there already is not attacked again.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        How many outcomes were in the stores already.
    """
    kept = sum(int(index) in store.records for store in stores for index in chosen)
    for turn, index in enumerate(chosen.tolist()):
        for offset in range(len(contenders)):
            which = (turn + offset) % len(contenders)
            if index not in stores[which].records:
                stores[which].add(_attack(target, contenders[which], data, index))
        progress(turn + 1, len(chosen))
    return kept


def _attack(target: Target, contender: Contender, data: ImageSet, index: int) -> Record:
    original, label = data.images[index], int(data.labels[index])
    started = time.perf_counter()
    found = contender.attack(original, label)
    seconds = time.perf_counter() - started
    task = Task(contender.name, contender.name, pixels=1, seed=0)
    success = holds(task, found.image, original, label, target.deployed.predict)
    pixels = np.argwhere((found.image != original).any(-1)) if success else np.empty((0, 2), np.int64)
    return Record(
        image=index,
        success=success,
        pixels=pixels.tolist(),
        colors=[found.image[row, column].tolist() for row, column in pixels],
        queries=found.queries,
        exhausted=found.exhausted,
        seconds=seconds,
    )


def speed_rows(
    classifier: str,
    contenders: Sequence[Contender],
    records: Sequence[Sequence[Record]],
    peaks: Sequence[float | None],
) -> list[AttackSpeedRow]:
    """A row a contender, from its records (one or more) and its peak memory in MiB."""
    seconds = [[record.seconds for record in found] for found in records]
    means = [float(np.mean(each)) for each in seconds]
    faster_peer = min((mean for mean, each in zip(means, contenders, strict=True) if each.peer), default=None)
    rows = []
    for contender, found, mean, times, peak in zip(contenders, records, means, seconds, peaks, strict=True):
        queries = [record.queries for record in found]
        rows.append(
            AttackSpeedRow(
                classifier=classifier,
                attack=contender.name,
                peer=contender.peer,
                provider=contender.provider,
                n=len(found),
                attack_success=Share(sum(record.success for record in found), len(found)),
                seconds_per_image=mean,
                seconds_median=float(np.median(times)),
                seconds_p90=float(np.percentile(times, 90)),
                queries_per_image=float(np.mean(queries)),
                queries_median=float(np.median(queries)),
                queries_p90=float(np.percentile(queries, 90)),
                queries_per_second=sum(queries) / sum(times),
                times_faster=None if faster_peer is None else faster_peer / mean,
                peak_memory_mib=peak,
            )
        )
    return rows

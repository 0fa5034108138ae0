"""The comparison: every bundle's classifier under every attack, and what the figures have to be read with."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.attack.evaluation.fit import check_fit, check_some
from pixelproof.attack.evaluation.pytorch_threads import pytorch_threads
from pixelproof.attack.evaluation.settings import DataChoice
from pixelproof.attack.evaluation.store import Store
from pixelproof.benchmarks.attack_speed import memory
from pixelproof.benchmarks.attack_speed.contenders import CONTENDERS, Contender, Make
from pixelproof.benchmarks.attack_speed.peers import ART_POPULATION, Budget, peer_versions
from pixelproof.benchmarks.attack_speed.rows import speed_rows
from pixelproof.benchmarks.attack_speed.target import Target
from pixelproof.benchmarks.attack_speed.turns import attack_in_turns
from pixelproof.benchmarks.conditions import describe_conditions, now
from pixelproof.benchmarks.formats import AttackSpeedResults, AttackSpeedRow, Conditions
from pixelproof.benchmarks.latency import Progress
from pixelproof.benchmarks.latency_ways import Absent, idle_threads_spin
from pixelproof.errors import UsageError

_REVISION = 2
"""Of how the contenders search; another one makes times that are not to be mixed with those of before."""


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


def bench_attack(
    bundles: Sequence[Path],
    choice: DataChoice,
    settings: AttackSpeedSettings,
    *,
    folder: Path,
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
        folder: of each image's outcome, from which a measurement that was stopped goes on, under the same conditions.
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
        # First, since a target's screen sets it too, and sets back what it found.
        stack.enter_context(pytorch_threads(threads, purpose="comparing attacks"))
        targets = [stack.enter_context(closing(Target(bundle, threads))) for bundle in bundles]
        for target in targets:  # what is unfit is told before the long work
            check_fit(target.bundle, target.deployed, choice.images)
        conditions = _conditions(targets, settings.budget, choice, command, threads)
        for target, count in zip(targets, counts, strict=True):
            comparison = _Comparison(target, choice, settings, conditions, folder, progress)
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
                peaks[done] = memory.peak_memory(make, target, budget, image, label)
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
    ran: dict[str, dict[str, None]] = {}
    for row in rows:
        ran.setdefault(row.provider, {})[f"'{row.attack}'"] = None
    cautions = ["Ran on " + "; on ".join(f"{provider}: {', '.join(names)}" for provider, names in ran.items()) + "."]
    if budget.population != ART_POPULATION and any(row.peer and row.attack.startswith("ART") for row in rows):
        cautions.append(f"ART sets its own population, {ART_POPULATION}; torchattacks rounds down to a multiple of 5.")
    if idle_threads_spin():
        cautions.append("PyTorch was loaded without OMP_WAIT_POLICY=passive: its idle threads slow whatever runs next.")
    return cautions

"""The searches of one bundle, one after the other: each attacks the images that withstood those before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.cuda.device import Device
from pixelproof.attack.evaluation.on_gpu import screened_on
from pixelproof.attack.evaluation.search import Plan, Report, search, settings_of
from pixelproof.attack.evaluation.settings import STRONGEST, DataChoice, Settings
from pixelproof.attack.evaluation.store import Record, Records
from pixelproof.attack.evaluation.victims import Predict, Victim
from pixelproof.attack.methods.strongest import Step, steps

_PASSED = "colors let pass"

OpenRecords = Callable[[dict[str, Any]], Records]
"""Opens the records that depend on these settings."""


class Searches:
    """Runs the plans of a method.

    Args:
        choice: the images.
        settings: the method, and what it may change.
        open_records: where records are kept.
        report: told what is under way.
        device: the GPU that `de` runs on, and that screens the other methods' candidates; None for the CPU alone.
    """

    def __init__(
        self,
        choice: DataChoice,
        settings: Settings,
        open_records: OpenRecords,
        report: Report,
        device: Device | None = None,
    ) -> None:
        self.choice, self.settings, self.open_records, self.report = choice, settings, open_records, report
        self.device = device
        self._screened: dict[str, Victim] = {}

    def transfer(self, victim: Victim, chosen: NDArray[np.int64]) -> list[Record]:
        """The attack on the bare classifier; it serves every purifier in front of the same one."""
        found = self.union(self.plans("transfer"), victim, victim.predict, chosen)
        return [found[image] for image in chosen.tolist()]

    def adaptive(
        self,
        victim: Victim,
        deployed: Predict,
        chosen: NDArray[np.int64],
        kept: NDArray[np.bool_],
        carried: Sequence[Record],
    ) -> dict[int, Record]:
        """The attack on the whole, by image: one that the purifier alone loses falls with no change.

        Whoever knows the whole knows the bare classifier too, and tries what fooled that one behind the own searches.

        Args:
            victim: the whole pipeline.
            deployed: the bundle's own prediction.
            chosen: indices of the images to attack.
            kept: bool, one an image of the data: the pipeline gets it right.
            carried: what the attack on the bare classifier found that the whole gets wrong too.
        """
        lost = {image: Record(image, True, [], [], 0, False, 0.0) for image in chosen[~kept[chosen]].tolist()}
        plans = self.plans("adaptive", passed=victim.passes is not None)
        found = lost | self.union(plans, victim, deployed, chosen[kept[chosen]])
        for record in carried:
            if record.image in found and not (own := found[record.image]).success:
                found[record.image] = replace(record, queries=own.queries + 1, seconds=own.seconds)
        return found

    def plans(self, protocol: str, *, passed: bool = False) -> list[Plan]:
        """The method's searches in order; with `passed` the colors that a purifier lets pass come first."""
        chosen, seed = self.settings.method, self.settings.seed
        plan = partial(self._plan, protocol)
        if chosen == STRONGEST:
            return [plan(step, _named(step)) for step in steps(seed, passed=passed)]
        only = plan(Step(chosen, seed))
        if passed and chosen == "corners":
            return [plan(Step(chosen, seed, passed=True), _PASSED), only]
        return [only]

    def _plan(self, protocol: str, step: Step, name: str = "") -> Plan:
        return Plan(
            f"{protocol}, {name}" if name else protocol,
            step.method,
            pixels=self.settings.pixels,
            seed=step.seed,
            passed_colors=step.passed,
            target=self.settings.target,
            evolution=self.settings.evolution if step.method == "de" else {},
        )

    def union(
        self, plans: list[Plan], victim: Victim, deployed: Predict, chosen: NDArray[np.int64]
    ) -> dict[int, Record]:
        """Each image's record: of the first search that it fell to, or of all together."""
        found: dict[int, Record] = {}
        left = chosen
        for plan in plans:
            for record in self._run(plan, victim, deployed, left):
                before = found.get(record.image)
                found[record.image] = record if before is None else joined(before, record)
            left = np.array([image for image in left.tolist() if not found[image].success], np.int64)
        return found

    def _run(self, plan: Plan, victim: Victim, deployed: Predict, chosen: NDArray[np.int64]) -> list[Record]:
        if self.device is not None and plan.method != "de" and plan.pixels == 1:  # what a screen was validated for
            victim = self._on_gpu(self.device, victim, len(chosen))
        elif self.device is not None and plan.method == "de":  # by another network's fitness, which may go another way
            victim = replace(victim, identity=f"{victim.identity}, evolved on a GPU")
        store = self.open_records(settings_of(plan, victim, self.choice.name))
        try:
            return search(plan, victim, deployed, self.choice.images, chosen, store, self.report, self.device)
        finally:
            store.close()

    def _on_gpu(self, device: Device, victim: Victim, images: int) -> Victim:
        if victim.identity not in self._screened:
            size = self.choice.images.images.shape[1], self.choice.images.images.shape[2]
            self._screened[victim.identity] = screened_on(device, victim, size, images)
        return self._screened[victim.identity]


def _named(step: Step) -> str:
    if step.passed:
        return _PASSED
    return f"de, seed {step.seed}" if step.method == "de" else step.method


def joined(first: Record, second: Record) -> Record:
    """Two searches of one image, the second after the first had failed."""
    return Record(
        image=second.image,
        success=second.success,
        pixels=second.pixels,
        colors=second.colors,
        queries=first.queries + second.queries,
        exhausted=first.exhausted and second.exhausted,
        seconds=first.seconds + second.seconds,
    )

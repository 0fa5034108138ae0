"""The searches of one bundle, each on the images that withstood those before, every success verified as deployed."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelproof.attack import DifferentialEvolution, attack
from pixelproof.attack.evaluation.records import Record, Store
from pixelproof.attack.evaluation.settings import STRONGEST, DataChoice, Settings
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim
from pixelproof.attack.methods import options_of
from pixelproof.attack.methods.strongest import Step, steps
from pixelproof.attack.search.protocol import as_predictor
from pixelproof.attack.search.results import Outcome, Progress
from pixelproof.models.data import ImageSet

if TYPE_CHECKING:
    from pixelproof.attack.cuda.device import Device

_PASSED = "colors let pass"
Report = Callable[[str, Progress], None]
"""Called with a search's name and how far it has come."""


@dataclass(frozen=True)
class Task:
    """What to search.

    Attributes:
        name: for progress, and in the store.
        method: a method of `pixelproof.attack`.
        pixels: changed at most.
        seed: of the method's randomness.
        passed_colors: try the colors that the purifier lets pass instead of the method's own.
        target: the class to reach; None where any wrong one will do.
        evolution: what `de` is given that is not its default.
    """

    name: str
    method: str
    pixels: int
    seed: int
    passed_colors: bool = False
    target: int | None = None
    evolution: dict[str, int] = field(default_factory=dict)


def settings_of(task: Task, victim: Victim, data_name: str) -> dict[str, Any]:
    """What the records of this task, victim and data set depend on.

    A graph alone does not determine how candidates are ranked: a shipped network that was given its own weights as a
    file is not known to be one.
    """
    spelled = {"passed_colors": "passed_colours"}  # as the first records have it
    held = asdict(task).items()
    settings = {spelled.get(key, key): value for key, value in held if key not in ("name", "evolution")}
    swept = victim.swept and "order" in options_of(task.method)
    ranked = {"order": "sweep"} if swept else {}  # by a gradient where nothing is said
    return {"victim": victim.identity, "data": data_name, **settings, **task.evolution, **ranked}


def search(
    task: Task,
    victim: Victim,
    deployed: Predict,
    data: ImageSet,
    chosen: NDArray[np.int64],
    store: Store,
    report: Report,
    device: "Device | None" = None,
) -> list[Record]:
    """The records of `chosen` (indices into `data`), those in `store` taken from there.

    Args:
        task: what to search.
        victim: what the search asks.
        deployed: the bundle's own prediction, which has the last word on each success.
        data: all images.
        chosen: which to attack; images that the victim gets right.
        store: kept records, and where new ones go.
        report: called with how far it has come.
        device: the GPU that `de` runs on; None for the CPU.

    Raises:
        BackendError: nothing runs the victim's network on the device.
    """
    left = np.array([index for index in chosen.tolist() if index not in store.records], np.int64)
    if len(left):
        _attack(task, victim, deployed, data.take(left), left, store, report, device, len(chosen))
    return [store.records[index] for index in chosen.tolist()]


def _attack(
    task: Task,
    victim: Victim,
    deployed: Predict,
    images: ImageSet,
    indices: NDArray[np.int64],
    store: Store,
    report: Report,
    device: "Device | None",
    asked: int,
) -> None:
    """Attack what is left of the images `asked` for, whose number decides how a GPU runs the network."""
    clock = [time.perf_counter()]

    def keep(outcome: Outcome) -> None:
        now = time.perf_counter()
        label = int(images.labels[outcome.index])
        success = outcome.success and holds(task, outcome.image, images.images[outcome.index], label, deployed)
        store.add(
            Record(
                image=int(indices[outcome.index]),
                success=success,
                pixels=outcome.pixels.tolist() if success else [],
                colors=outcome.colors.tolist() if success else [],
                queries=outcome.queries,
                exhausted=outcome.exhausted,
                seconds=now - clock[0],
            )
        )
        clock[0] = now

    common: dict[str, Any] = {
        "pixels": task.pixels,
        "seed": task.seed,
        "targets": None if task.target is None else np.full(len(images), task.target),
        "progress": lambda progress: report(task.name, progress),
        "on_finished": keep,
    }
    if device is not None and task.method == "de":
        from pixelproof.attack.cuda import attack_on_device

        evolution = DifferentialEvolution(**task.evolution)
        network = victim.on_device(asked * evolution.population * (evolution.generations + 1))
        attack_on_device(device, network, images.images, images.labels, exact=deployed, **common | task.evolution)
    else:
        batch_size = as_predictor(victim.predict).batch_size or BATCH_SIZE
        parameters = common | {"method": task.method, "batch_size": batch_size} | _parameters(task, victim)
        attack(victim.predict, images.images, images.labels, **parameters)


def _parameters(task: Task, victim: Victim) -> dict[str, Any]:
    """What the method is given of what it declares."""
    parameters: dict[str, Any] = dict(task.evolution)
    if "order" in options_of(task.method):
        parameters["order"] = victim.order
    if task.passed_colors and victim.passes is not None:
        parameters["colors"] = victim.passes
    return parameters


def holds(
    task: Task, adversarial: NDArray[np.uint8], original: NDArray[np.uint8], label: int, deployed: Predict
) -> bool:
    """Whether the image, written as PNG and read back, is within the task's pixels and deceives what is deployed."""
    reread = read_png(write_png(adversarial))
    changed = int((reread != original).any(-1).sum())
    seen = int(deployed(reread[None])[0].argmax())
    return changed <= task.pixels and (seen != label if task.target is None else seen == task.target)


def write_png(image: NDArray[np.uint8]) -> bytes:
    """An `(H, W, 3)` image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def read_png(content: bytes) -> NDArray[np.uint8]:
    """The `(H, W, 3)` image in a PNG file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB"))


def changed_images(records: list[Record], data: ImageSet) -> NDArray[np.uint8]:
    """The images of `records` with their pixels changed, uint8 `(n, H, W, 3)`; unchanged where there was no success."""
    images = data.images[[record.image for record in records]].copy()
    for image, record in zip(images, records, strict=True):
        for (row, column), color in zip(record.pixels, record.colors, strict=True):
            image[row, column] = color
    return images


class Searches:
    """Runs the tasks of a method.

    Args:
        choice: the images.
        settings: the method, and what it may change.
        records: the folder of their outcomes.
        report: called with what is under way.
        device: the GPU that `de` runs on, and that is the other methods' cascade; None for the CPU alone.
    """

    def __init__(
        self,
        choice: DataChoice,
        settings: Settings,
        records: Path,
        report: Report,
        device: "Device | None" = None,
    ) -> None:
        self.choice, self.settings, self.records, self.report = choice, settings, records, report
        self.device = device
        self._screened: dict[str, Victim] = {}

    def transfer(self, victim: Victim, chosen: NDArray[np.int64]) -> list[Record]:
        """The attack on the bare classifier; it serves every purifier in front of the same one."""
        found = self.union(self.tasks("transfer"), victim, victim.predict, chosen)
        return [found[image] for image in chosen.tolist()]

    def adaptive(
        self,
        victim: Victim,
        deployed: Predict,
        chosen: NDArray[np.int64],
        lost: NDArray[np.int64],
        carried: Sequence[Record],
    ) -> dict[int, Record]:
        """The attack on the whole, a record by image.

        Whoever knows the whole knows the bare classifier too, and tries what fooled that one after the own searches.

        Args:
            victim: the whole pipeline.
            deployed: the bundle's own prediction.
            chosen: indices of the images to attack.
            lost: those of them that the purifier alone turns into a success, with no pixel changed.
            carried: what the attack on the bare classifier found that deceives the whole too.
        """
        found = {image: Record(image, True, [], [], 0, False, 0.0) for image in lost.tolist()}
        tasks = self.tasks("adaptive", passed=victim.passes is not None)
        left = np.array([image for image in chosen.tolist() if image not in found], np.int64)
        found |= self.union(tasks, victim, deployed, left)
        for record in carried:
            if record.image in found and not (own := found[record.image]).success:
                found[record.image] = replace(record, queries=own.queries + 1, seconds=own.seconds)
        return found

    def tasks(self, protocol: str, *, passed: bool = False) -> list[Task]:
        """The method's searches in order; with `passed` the colors that a purifier lets pass come first."""
        chosen, seed = self.settings.method, self.settings.seed
        task = partial(self._task, protocol)
        if chosen == STRONGEST:
            return [task(step, _named(step)) for step in steps(seed, passed=passed)]
        only = task(Step(chosen, seed))
        if passed and self.settings.asks_passes:
            return [task(Step(chosen, seed, passed=True), _PASSED), only]
        return [only]

    def _task(self, protocol: str, step: Step, name: str = "") -> Task:
        return Task(
            f"{protocol}, {name}" if name else protocol,
            step.method,
            pixels=self.settings.pixels,
            seed=step.seed,
            passed_colors=step.passed,
            target=self.settings.target,
            evolution=self.settings.evolution if "population" in options_of(step.method) else {},
        )

    def union(
        self, tasks: list[Task], victim: Victim, deployed: Predict, chosen: NDArray[np.int64]
    ) -> dict[int, Record]:
        """Each image's record: of the first search that succeeded, or of all together."""
        found: dict[int, Record] = {}
        left = chosen
        for task in tasks:
            for record in self._run(task, victim, deployed, left):
                before = found.get(record.image)
                found[record.image] = record if before is None else joined(before, record)
            left = np.array([image for image in left.tolist() if not found[image].success], np.int64)
        return found

    def _run(self, task: Task, victim: Victim, deployed: Predict, chosen: NDArray[np.int64]) -> list[Record]:
        if self.device is not None and task.method != "de" and task.pixels == 1:  # what a cascade was validated for
            victim = self._on_gpu(self.device, victim, len(chosen))
        elif self.device is not None and task.method == "de":  # by another network's fitness, which may go another way
            victim = replace(victim, identity=f"{victim.identity}, evolved on a GPU")
        store = Store(self.records, settings_of(task, victim, self.choice.name))
        try:
            return search(task, victim, deployed, self.choice.images, chosen, store, self.report, self.device)
        finally:
            store.close()

    def _on_gpu(self, device: "Device", victim: Victim, images: int) -> Victim:
        if victim.identity not in self._screened:
            size = self.choice.images.images.shape[1], self.choice.images.images.shape[2]
            from pixelproof.attack.evaluation.device import screened_on

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

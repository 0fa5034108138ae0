"""One search over many images, resumed from its store, every success verified as deployed before it counts."""

import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelproof.attack import DifferentialEvolution, attack
from pixelproof.attack.cuda import attack_on_device
from pixelproof.attack.cuda.device import Device
from pixelproof.attack.evaluation.store import Record, Records
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim
from pixelproof.attack.search.results import Outcome, Progress
from pixelproof.models.data import ImageSet

Report = Callable[[str, Progress], None]
"""Called with a search's name and how far it has come."""


@dataclass(frozen=True)
class Plan:
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


def settings_of(plan: Plan, victim: Victim, data_name: str) -> dict[str, Any]:
    """What the records of this plan, victim and data set depend on.

    A graph alone does not tell how candidates are ranked: a shipped network that was given its own weights as a file
    is not known to be one.
    """
    spelled = {"passed_colors": "passed_colours"}  # as the first records have it
    held = asdict(plan).items()
    settings = {spelled.get(key, key): value for key, value in held if key not in ("name", "evolution")}
    ranked = {"order": "sweep"} if victim.swept and plan.method != "de" else {}  # by a gradient where nothing is said
    return {"victim": victim.identity, "data": data_name, **settings, **plan.evolution, **ranked}


def search(
    plan: Plan,
    victim: Victim,
    deployed: Predict,
    data: ImageSet,
    chosen: NDArray[np.int64],
    store: Records,
    report: Report,
    device: Device | None = None,
) -> list[Record]:
    """The records of `chosen` (indices into `data`), those in `store` taken from there.

    Args:
        plan: what to search.
        victim: what the search asks.
        deployed: the bundle's own prediction, which has the last word on each success.
        data: all images.
        chosen: which to attack; images that the victim gets right.
        store: kept records, and where new ones go.
        report: told how far it has come.
        device: the GPU that `de` runs on; None for the CPU.

    Raises:
        BackendError: nothing runs the victim's network on the device.
    """
    left = np.array([index for index in chosen.tolist() if index not in store.records], np.int64)
    if len(left):
        _attack(plan, victim, deployed, data.take(left), left, store, report, device, len(chosen))
    return [store.records[index] for index in chosen.tolist()]


def _attack(
    plan: Plan,
    victim: Victim,
    deployed: Predict,
    images: ImageSet,
    indices: NDArray[np.int64],
    store: Records,
    report: Report,
    device: Device | None,
    asked: int,
) -> None:
    """Attack what is left of the images `asked` for, whose number decides how a GPU runs the network."""
    clock = [time.perf_counter()]

    def keep(outcome: Outcome) -> None:
        now = time.perf_counter()
        label = int(images.labels[outcome.index])
        success = outcome.success and holds(plan, outcome.image, images.images[outcome.index], label, deployed)
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
        "pixels": plan.pixels,
        "seed": plan.seed,
        "targets": None if plan.target is None else np.full(len(images), plan.target),
        "progress": lambda progress: report(plan.name, progress),
        "on_finished": keep,
    }
    if device is not None and plan.method == "de":
        evolution = DifferentialEvolution(**plan.evolution)
        network = victim.on_device(asked * evolution.population * (evolution.generations + 1))
        attack_on_device(device, network, images.images, images.labels, exact=deployed, **common | plan.evolution)
    else:
        batch_size = getattr(victim.predict, "batch_size", BATCH_SIZE)  # a screen's own
        parameters = common | {"method": plan.method, "batch_size": batch_size} | _parameters(plan, victim, images)
        attack(victim.predict, images.images, images.labels, **parameters)


def _parameters(plan: Plan, victim: Victim, images: ImageSet) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(plan.evolution) if plan.method == "de" else {"order": victim.order}
    if plan.passed_colors and victim.passes is not None:
        parameters["colors"] = victim.passes
    return parameters


def holds(
    plan: Plan, adversarial: NDArray[np.uint8], original: NDArray[np.uint8], label: int, deployed: Predict
) -> bool:
    """Whether the image, written as PNG and read back, is within the plan's pixels and deceives what is deployed."""
    reread = read_png(write_png(adversarial))
    changed = int((reread != original).any(-1).sum())
    seen = int(deployed(reread[None])[0].argmax())
    return changed <= plan.pixels and (seen != label if plan.target is None else seen == plan.target)


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

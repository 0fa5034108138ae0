"""One attack on one bundle, as `pixelproof attack` runs it."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.cascades import check_screen_or_none, screen_or_none
from pixelproof.attack.evaluation.known import warn_of_silence
from pixelproof.attack.evaluation.records import Record
from pixelproof.attack.evaluation.searches import Report, Searches, changed_images
from pixelproof.attack.evaluation.settings import PROTOCOLS, DataChoice, Settings, check_fit, check_some
from pixelproof.attack.evaluation.victims import Victim, bare_classifier, purified_pipeline
from pixelproof.codec import encode
from pixelproof.errors import UsageError, unknown_name
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256
from pixelproof.statistics import Share

if TYPE_CHECKING:
    from pixelproof.attack.cuda.device import Device


@dataclass(frozen=True)
class AttackRun:
    """What an attack gave.

    Attributes:
        summary: settings and figures, ready for JSON.
        images: each attacked image's record, ready for JSON.
        names: of the PNG files of the successes.
        adversarial: the successes, uint8 `(n, H, W, 3)`, in the order of `names`.
    """

    summary: dict[str, Any]
    images: list[dict[str, Any]]
    names: tuple[str, ...]
    adversarial: NDArray[np.uint8]


def attack_bundle(
    bundle: Path,
    choice: DataChoice,
    settings: Settings,
    *,
    protocol: str,
    records: Path,
    threads: int | None = None,
    report: Report = lambda *_: None,
    device: "Device | None" = None,
) -> AttackRun:
    """Attack the first images that the victim gets right (and that are not of the class to reach).

    Args:
        bundle: the bundle's folder.
        choice: images of its size and classes.
        settings: how many of them, and by what; adaptive corners try those of what the purifier lets pass, too.
        protocol: "transfer" (the bare classifier) or "adaptive" (the whole pipeline), whatever `settings.adaptive`.
        records: folder of each image's outcome, from which an attack that was stopped goes on.
        threads: CPU threads a call may use.
        report: told how far it has come.
        device: the GPU that `de` runs on, and that screens other methods' candidates; None for the CPU.

    Raises:
        UsageError: an unknown protocol, data that do not fit the bundle, nothing to attack in them, an adaptive attack
            on a bundle without a purifier, or a screen that the attack has no use for; or as for `own_passes`, if
            `settings.own_code`.
        BundleError: the bundle is missing or damaged.
        DataError: kept outcomes that are damaged.
        BackendError: what is asked for does not run here.
        ExportError: as for `own_passes`, if `settings.own_code`.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS, f"protocol='{PROTOCOLS[0]}'")
    bundle, records, screen, target = Path(bundle), Path(records), settings.screen, settings.target
    with (
        Pipeline(bundle, threads=threads) as pipeline,
        Pipeline(bundle, part="classifier", threads=threads) as bare,
        ExitStack() as opened,
    ):
        check_fit(bundle, pipeline, choice.images)
        check_screen_or_none(screen, bare, settings.pixels)
        deployed = bare if protocol == "transfer" else pipeline
        unscreened = _victim(bundle, protocol, pipeline, bare, settings)
        victim = opened.enter_context(screen_or_none(screen, bare))(unscreened, deployed.predict)
        data = choice.images
        said = deployed.predict(data.images)
        eligible = said.argmax(1) == data.labels
        if target is not None:
            eligible &= data.labels != target
        chosen = np.flatnonzero(eligible)[: settings.images]
        check_some(bundle, chosen, data, target)
        searches = Searches(choice, settings, records, report, device)
        passed = protocol == "adaptive" and victim.passes is not None
        if protocol == "adaptive" and settings.asks_passes and not passed:
            warn_of_silence(pipeline, settings.own_code)
        tasks = searches.tasks(protocol, passed=passed)
        found = searches.union(tasks, victim, deployed.predict, chosen)
        outcomes = [found[image] for image in chosen.tolist()]
        described = _described(outcomes, choice, said, deployed)
        asked = {"bundle": str(bundle), **_names(pipeline, deployed), "protocol": protocol}
        asked |= _asked(settings, choice)
        asked["passed_colours"] = passed if protocol == "adaptive" and settings.asks_passes else None
        asked |= {"provider": deployed.provider, "data": choice.name}
        asked["attack_backend"] = "cpu" if device is None else f"cuda ({device.name})"
    names = {f"{r.image:05d}-{data.class_names[data.labels[r.image]]}.png": r for r in outcomes if r.success}
    return AttackRun(
        summary={**asked, **_figures(outcomes)},
        images=described,
        names=tuple(names),
        adversarial=changed_images(list(names.values()), data),
    )


def _victim(bundle: Path, protocol: str, pipeline: Pipeline, bare: Pipeline, settings: Settings) -> Victim:
    windows = settings.screen is None  # a screen does without
    if protocol == "transfer":
        return bare_classifier(bare, windows=windows)
    if pipeline.manifest["purifier"] is None:
        raise UsageError(f"bundle '{bundle}' has no purifier to adapt to. Next: --protocol transfer")
    return purified_pipeline(pipeline, bare, windows=windows, own_code=settings.own_code)


def _described(
    records: list[Record], choice: DataChoice, said: NDArray[np.float32], deployed: Pipeline
) -> list[dict[str, Any]]:
    """The records with what the bundle says of each image as it is now, beside what it `said` of all as they were."""
    data = choice.images
    fell = [record for record in records if record.success]
    attacked = deployed.predict(changed_images(fell, data)) if fell else said[:0]
    now = {record.image: probabilities for record, probabilities in zip(fell, attacked, strict=True)}
    described = []
    for record in records:
        after = now.get(record.image, said[record.image])
        described.append(
            {
                **record.to_json(),
                **({"file": choice.files[record.image]} if choice.files else {}),
                "label": data.class_names[data.labels[record.image]],
                "label_after": data.class_names[int(after.argmax())],
                "probabilities_before": said[record.image].tolist(),
                "probabilities_after": after.tolist(),
            }
        )
    return described


def _names(pipeline: Pipeline, attacked: Pipeline) -> dict[str, Any]:
    """What was attacked: names, the weights' hashes, and that of what the attacked graph computes."""
    classifier, purifier = pipeline.manifest["classifier"], pipeline.manifest["purifier"]
    return {
        "classifier": classifier["name"],
        "classifier_weights_sha256": classifier["weights_sha256"],
        "purifier": None if purifier is None else purifier["name"],
        "purifier_weights_sha256": None if purifier is None else purifier["weights_sha256"],
        "graph_sha256": graph_sha256(attacked.graph),
    }


def _asked(settings: Settings, choice: DataChoice) -> dict[str, Any]:
    target = None if settings.target is None else choice.images.class_names[settings.target]
    asked = {"method": settings.method, "pixels": settings.pixels, "seed": settings.seed, "target": target}
    if settings.evolves:
        asked |= {"population": settings.population, "generations": settings.generations}
    return asked | {"screen": settings.screen}


def _figures(records: list[Record]) -> dict[str, Any]:
    queries = [record.queries for record in records]
    return {
        "attack_success": encode(Share(sum(record.success for record in records), len(records))),
        "exhausted": sum(record.exhausted for record in records),
        "queries_median": float(np.median(queries)),
        "queries_p90": float(np.percentile(queries, 90)),
        "seconds_per_image": float(np.mean([record.seconds for record in records])),
    }

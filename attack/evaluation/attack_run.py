"""One attack on one bundle, as `pixelproof attack` runs it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.evaluate import attack_both, both_networks
from pixelproof.attack.evaluation.records import Record
from pixelproof.attack.evaluation.searches import Report, changed_images
from pixelproof.attack.evaluation.settings import PROTOCOLS, DataChoice, Settings
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
    """Attack the first images that the bare classifier gets right (and that are not of the class to reach).

    Args:
        bundle: the bundle's folder.
        choice: images of its size and classes.
        settings: how many of them, and by what.
        protocol: "transfer" (the bare classifier) or "adaptive" (the whole pipeline, by an attacker who also tries
            what fooled the bare classifier), whatever `settings.adaptive`; as in `evaluate`.
        records: folder of each image's outcome, from which an attack that was stopped goes on.
        threads: CPU threads a call may use.
        report: called with how far it has come.
        device: the GPU that `de` runs on, and that is other methods' cascade; None for the CPU.

    Raises:
        UsageError: an unknown protocol, data that do not fit the bundle, nothing to attack in them, an adaptive attack
            on a bundle without a purifier, or a cascade that the attack has no use for; or as for `own_passes`, if
            `settings.own_code`.
        BundleError: the bundle is missing or damaged.
        DataError: kept outcomes that are damaged.
        BackendError: what is asked for does not run here.
        ExportError: as for `own_passes`, if `settings.own_code`.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS, f"protocol='{PROTOCOLS[0]}'")
    bundle, data = Path(bundle), choice.images
    settings = replace(settings, adaptive=protocol == "adaptive")
    with both_networks(bundle, threads) as (pipeline, bare):
        if settings.adaptive and pipeline.manifest["purifier"] is None:
            raise UsageError(f"bundle '{bundle}' has no purifier to adapt to. Next: --protocol transfer")
        options: dict[str, Any] = {"clean": False, "report": report, "device": device}
        measured = attack_both(bundle, pipeline, bare, choice, settings, Path(records), **options)
        outcomes = measured.transferred
        if measured.adaptive is not None:
            outcomes = [measured.adaptive[image] for image in measured.chosen.tolist()]
        deployed = pipeline if settings.adaptive else bare
        described = _described(outcomes, choice, deployed)
        asked = {"bundle": str(bundle), **_names(pipeline, deployed), "protocol": protocol}
        asked |= _asked(settings, choice)
        asked |= {"passed_colours": measured.passed, "provider": deployed.provider, "data": choice.name}
        asked["attack_backend"] = "cpu" if device is None else f"cuda ({device.name})"
    names = {f"{r.image:05d}-{data.class_names[data.labels[r.image]]}.png": r for r in outcomes if r.success}
    return AttackRun(
        summary={**asked, **_figures(outcomes)},
        images=described,
        names=tuple(names),
        adversarial=changed_images(list(names.values()), data),
    )


def _described(records: list[Record], choice: DataChoice, deployed: Pipeline) -> list[dict[str, Any]]:
    """The records, with what the bundle says of each image before and after."""
    data = choice.images
    before = deployed.predict(data.images[[record.image for record in records]])
    after = deployed.predict(changed_images(records, data))
    described = []
    for record, clean, attacked in zip(records, before, after, strict=True):
        described.append(
            {
                **record.to_json(),
                **({"file": choice.files[record.image]} if choice.files else {}),
                "label": data.class_names[data.labels[record.image]],
                "label_after": data.class_names[int(attacked.argmax())],
                "probabilities_before": clean.tolist(),
                "probabilities_after": attacked.tolist(),
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
    return asked | {"screen": settings.cascade}


def _figures(records: list[Record]) -> dict[str, Any]:
    queries = [record.queries for record in records]
    return {
        "attack_success": encode(Share(sum(record.success for record in records), len(records))),
        "exhausted": sum(record.exhausted for record in records),
        "queries_median": float(np.median(queries)),
        "queries_p90": float(np.percentile(queries, 90)),
        "seconds_per_image": float(np.mean([record.seconds for record in records])),
    }

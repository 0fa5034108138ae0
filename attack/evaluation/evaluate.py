"""`evaluate`: what a bundle withstands, transferred and adaptive."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.cascades import check_cascade, open_cascade
from pixelproof.attack.evaluation.known import warn_of_silence
from pixelproof.attack.evaluation.records import Record, gets_right
from pixelproof.attack.evaluation.searches import Report, Searches, changed_images
from pixelproof.attack.evaluation.settings import DataChoice, Settings, check_fit, check_some
from pixelproof.attack.evaluation.victims import bare_classifier, purified_pipeline
from pixelproof.errors import UsageError
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline

if TYPE_CHECKING:
    from pixelproof.attack.cuda.device import Device


@dataclass(frozen=True)
class Measured:
    """Everything measured on one bundle.

    Attributes:
        settings: how.
        manifest: the bundle's.
        data: all images.
        right: bool `(len(data),)`, the bare classifier gets the clean image right.
        kept: bool `(len(data),)`, the pipeline does; None where it was not asked.
        chosen: indices of the attacked images.
        transferred: a record for each of them, of the attack on the bare classifier.
        survived: bool `(len(chosen),)`, the result of that attack deceives the pipeline.
        adaptive: by image, the record of the attack on the pipeline; None where it was not made.
        provider: the execution provider that really ran.
        passed: whether the attacker knew which colors the purifier accepts; None where there was no adaptive attack,
            and where the method does not ask.
        bundle: what distinguishes this bundle from another of the same classifier and purifier.
    """

    settings: Settings
    manifest: dict[str, Any]
    data: ImageSet
    right: NDArray[np.bool_]
    kept: NDArray[np.bool_] | None
    chosen: NDArray[np.int64]
    transferred: list[Record]
    survived: NDArray[np.bool_]
    adaptive: dict[int, Record] | None
    provider: str
    passed: bool | None = None
    bundle: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The names of the classifier and of the purifier, the latter with `bundle`."""
        classifier, purifier = self.manifest["classifier"]["name"], self.manifest["purifier"]["name"]
        return classifier, purifier if self.bundle is None else f"{purifier} ({self.bundle})"


def evaluate(
    bundle: Path,
    choice: DataChoice,
    settings: Settings,
    *,
    records: Path,
    threads: int | None = None,
    report: Report = lambda *_: None,
    device: "Device | None" = None,
    called: str | None = None,
) -> Measured:
    """Attack the bundle's bare classifier, purify what succeeded, and attack the whole.

    The images attacked are the first `settings.images` that the bare classifier gets right, without those of
    `settings.target`. An image that the purifier alone turns into a success counts as one, after no query.

    Args:
        bundle: with a purifier.
        choice: images of the bundle's size and classes.
        settings: how.
        records: the folder of each image's outcome, and of what the bundle says of clean images; a measurement that
            was stopped goes on from there.
        threads: CPU threads a call may use.
        report: called with what is under way.
        device: the GPU that `de` runs on, and that is other methods' cascade; None for the CPU.
        called: what distinguishes the bundle from another of the same classifier and purifier.

    Raises:
        UsageError: a bundle without a purifier, data of another size, or none that the classifier gets right; with
            `settings.own_code` as for `own_passes`.
        ExportError: likewise.
        BundleError: the bundle is missing or damaged.
        DataError: kept outcomes that are damaged.
        BackendError: what is asked for does not run here.
    """
    with both_networks(bundle, threads) as (pipeline, bare):
        check_purifies(bundle, pipeline)
        options: dict[str, Any] = {"report": report, "device": device, "called": called}
        return attack_both(bundle, pipeline, bare, choice, settings, records, clean=True, **options)


@contextmanager
def both_networks(bundle: Path, threads: int | None) -> Iterator[tuple[Pipeline, Pipeline]]:
    """The bundle's whole pipeline and its bare classifier, open."""
    with Pipeline(bundle, threads=threads) as pipeline, Pipeline(bundle, part="classifier", threads=threads) as bare:
        yield pipeline, bare


def attack_both(
    bundle: Path,
    pipeline: Pipeline,
    bare: Pipeline,
    choice: DataChoice,
    settings: Settings,
    records: Path,
    *,
    clean: bool,
    report: Report,
    device: "Device | None",
    called: str | None = None,
) -> Measured:
    """`evaluate` on open networks; the pipeline needs a purifier for an adaptive attack alone.

    `clean`: ask the pipeline for all clean images, not for the attacked ones alone.
    """
    data, target = choice.images, settings.target
    check_fit(bundle, pipeline, data)
    check_cascade(settings.cascade, bare, settings.pixels)
    right = gets_right(bare, data, records)
    eligible = right if target is None else right & (data.labels != target)
    chosen = np.flatnonzero(eligible)[: settings.images]
    check_some(bundle, chosen, data, target)
    kept = gets_right(pipeline, data, records) if clean else None
    searches = Searches(choice, settings, records, report, device)
    windows = settings.cascade is None  # a cascade does without

    def deceived(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        answer = pipeline.predict(images).argmax(1)
        wrong: NDArray[np.bool_] = answer != data.labels[chosen] if target is None else answer == target
        return wrong

    adaptive, passed, whole = None, None, None
    with open_cascade(settings.cascade, bare) as behind_cascade:
        if settings.adaptive:  # before the long work, as a purifier of one's own may be unfit
            whole = purified_pipeline(pipeline, bare, windows=windows, own_code=settings.own_code)
            passed = whole.passes is not None if settings.asks_passes else None
            if passed is False:
                warn_of_silence(pipeline, settings.own_code)
        transferred = searches.transfer(behind_cascade(bare_classifier(bare, windows=windows), bare.predict), chosen)
        survived = deceived(changed_images(transferred, data))
        if whole is not None:
            carried = [record for record, wrong in zip(transferred, survived, strict=True) if record.success and wrong]
            lost = chosen[deceived(data.images[chosen])]
            victim = behind_cascade(whole, pipeline.predict)
            adaptive = searches.adaptive(victim, pipeline.predict, chosen, lost, carried)
    found = chosen, transferred, survived, adaptive
    return Measured(settings, pipeline.manifest, data, right, kept, *found, pipeline.provider, passed, called)


def check_purifies(bundle: Path, pipeline: Pipeline) -> None:
    """Refuse a bundle without a purifier."""
    if pipeline.manifest["purifier"] is None:
        raise UsageError(
            f"bundle '{bundle}' has no purifier, so there is no defense to measure. "
            "Next: pixelproof export CLASSIFIER --purifier gated -o BUNDLE"
        )

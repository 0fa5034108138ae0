"""What a lower precision changes of a bundle's decisions, measured in the runtime that deploys it."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError
from pixelproof.export.precision import Precision
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline, read_bundle


class Decisions:
    """What a bundle's two graphs decide; neither is shown the same array of images twice.

    Args:
        bundle: its folder.
    """

    def __init__(self, bundle: Path) -> None:
        self._bundle = bundle
        self._known: dict[tuple[str, int], tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
        self.purifies: bool = read_bundle(bundle).has_purifier

    def of(self, part: Literal["classifier", "pipeline"], images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The labels that `part` gives `images`, uint8 `(n, H, W, 3)`: int64 `(n,)`."""
        key = part, id(images)
        if key not in self._known:
            with Pipeline(self._bundle, part=part) as opened:
                self._known[key] = (
                    images,
                    opened.predict(images).argmax(axis=1),
                )  # the array is kept: its id stays its own
        return self._known[key][1]


def compare_decisions(
    full: Decisions, lower: Decisions, images: NDArray[np.uint8], labels: NDArray[np.int64] | None, precision: Precision
) -> dict[str, Any]:
    """The figures of a bundle beside those of the same networks in float32.

    Args:
        full: of the bundle in float32.
        lower: of the one in `precision`.
        images: uint8 `(n, H, W, 3)`.
        labels: `(n,)`, or None where they are not known.
        precision: what is put up with.

    Returns:
        For the bare classifier, and for the pipeline where there is one: images, top-1 agreement, and the accuracies.

    Raises:
        ExportError: more accuracy is lost than is put up with; where labels are not known, more decisions are changed.
    """
    figures: dict[str, Any] = {}
    parts: tuple[Literal["classifier", "pipeline"], ...] = ("classifier", "pipeline")
    for part in parts if lower.purifies else parts[:1]:
        before, after = full.of(part, images), lower.of(part, images)
        agreement = float((before == after).mean())
        figures[part] = {"images": len(images), "top1_agreement": agreement}
        lost = 1 - agreement
        if labels is not None:
            accuracies = {name: float((told == labels).mean()) for name, told in (("fp32", before), ("own", after))}
            figures[part]["accuracy_fp32"], figures[part]["accuracy"] = accuracies["fp32"], accuracies["own"]
            lost = accuracies["fp32"] - accuracies["own"]
        _check(part, lost, figures[part], precision)
    return figures


def compare_purification(
    full: Decisions, lower: Decisions, clean: ImageSet, adversarial: ImageSet | None
) -> dict[str, Any]:
    """What the purifier mends and loses in a bundle that has one, beside the same in float32.

    Args:
        full: of the bundle in float32.
        lower: of the one in a lower precision.
        clean: images of the bundle's size and classes, with their labels.
        adversarial: images that fool the classifier in float32, with their true labels; None: there are none.

    Returns:
        Of each: of the adversarial images that fool its own bare classifier, the share that its pipeline reads right
        (`d_suc`; None where none fools it), and of the clean images that the bare classifier reads right, the share
        that the pipeline loses (`pl`).
    """
    figures: dict[str, Any] = {"clean_images": len(clean)}
    if adversarial is not None:
        figures["adversarial_images"] = len(adversarial)
    for suffix, decisions in (("_fp32", full), ("", lower)):
        right = decisions.of("classifier", clean.images) == clean.labels
        lost = decisions.of("pipeline", clean.images) != clean.labels
        figures[f"pl{suffix}"] = float(lost[right].mean())
        if adversarial is not None:
            fooled = decisions.of("classifier", adversarial.images) != adversarial.labels
            mended = decisions.of("pipeline", adversarial.images) == adversarial.labels
            figures[f"d_suc{suffix}"] = float(mended[fooled].mean()) if fooled.any() else None
    return figures


def known_labels(images: ImageSet, class_names: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The images' labels, where the classifier tells the same classes apart."""
    return images.labels if tuple(images.class_names) == class_names else None


def _check(part: str, lost: float, figures: dict[str, Any], precision: Precision) -> None:
    if 100 * lost <= precision.max_accuracy_drop + 1e-9:
        return
    if "accuracy" in figures:
        what = f"accuracy {figures['accuracy']:.2%} against {figures['accuracy_fp32']:.2%} in fp32"
    else:
        what = f"{figures['top1_agreement']:.2%} of the decisions the same as in fp32 (the labels are not known)"
    raise ExportError(
        f"{precision.name} costs the {part} too much on {figures['images']} images: {what}; "
        f"{precision.max_accuracy_drop:g} points are put up with. "
        f"Next: --precision fp16 or fp32, or --max-accuracy-drop {np.ceil(1000 * lost) / 10:g}"
    )

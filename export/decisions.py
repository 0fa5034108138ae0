"""What a lower precision changes of a bundle's decisions, measured in the runtime that deploys it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError
from pixelproof.export.precision import Precision
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline


def compare_decisions(
    full: Path, lower: Path, images: NDArray[np.uint8], labels: NDArray[np.int64] | None, precision: Precision
) -> dict[str, Any]:
    """The figures of the bundle `lower` beside those of the same networks in float32, in `full`.

    Args:
        full: a bundle in float32.
        lower: the same in `precision`.
        images: uint8 `(n, H, W, 3)`.
        labels: `(n,)`, or None where they are not known.
        precision: what is put up with.

    Returns:
        For the bare classifier, and for the pipeline where there is one: images, top-1 agreement, and the accuracies.

    Raises:
        ExportError: more accuracy is lost than is put up with; where labels are not known, more decisions are changed.
    """
    figures: dict[str, Any] = {}
    for part in ("classifier", "pipeline"):
        before, after = _labels(full, part, images), _labels(lower, part, images)
        if before is None or after is None:
            continue
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
    full: Path, lower: Path, clean: ImageSet, adversarial: ImageSet | None
) -> dict[str, Any] | None:
    """What the purifier mends and loses in the bundle `lower`, beside the same in float32, in `full`.

    Args:
        full: a bundle in float32.
        lower: the same in a lower precision.
        clean: images of the bundle's size and classes, with their labels.
        adversarial: images that fool the classifier in float32, with their true labels; None: there are none.

    Returns:
        Of each: of the adversarial images that fool its own bare classifier, the share that its pipeline reads right
        (`d_suc`; None where none fools it), and of the clean images that the bare classifier reads right, the share
        that the pipeline loses (`pl`). None where a bundle does not purify.
    """
    figures: dict[str, Any] = {"clean_images": len(clean)}
    if adversarial is not None:
        figures["adversarial_images"] = len(adversarial)
    for suffix, bundle in (("_fp32", full), ("", lower)):
        purified = _labels(bundle, "pipeline", clean.images)
        if purified is None:
            return None
        right = _read(bundle, "classifier", clean) == clean.labels
        figures[f"pl{suffix}"] = float((purified != clean.labels)[right].mean())
        if adversarial is not None:
            fooled = _read(bundle, "classifier", adversarial) != adversarial.labels
            mended = _read(bundle, "pipeline", adversarial) == adversarial.labels
            figures[f"d_suc{suffix}"] = float(mended[fooled].mean()) if fooled.any() else None
    return figures


def _read(bundle: Path, part: str, images: ImageSet) -> NDArray[np.int64]:
    labels = _labels(bundle, part, images.images)
    assert labels is not None  # asked of bundles that purify alone
    return labels


def known_labels(images: ImageSet, class_names: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The images' labels, where the classifier tells the same classes apart."""
    return images.labels if tuple(images.class_names) == class_names else None


def _labels(bundle: Path, part: Any, images: NDArray[np.uint8]) -> NDArray[np.int64] | None:  # noqa: ANN401
    with Pipeline(bundle, part=part) as opened:
        if part == "pipeline" and opened.manifest["purifier"] is None:
            return None
        labels: NDArray[np.int64] = opened.predict(images).argmax(axis=1)
        return labels


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

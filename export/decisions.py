"""What a lower precision changes of a bundle's decisions, measured in ONNX Runtime on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError
from pixelproof.export.precision import Precision
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class Decided:
    """The labels that a bundle gives some images, int64 `(n,)` each; `pipeline` is None where nothing purifies."""

    classifier: NDArray[np.int64]
    pipeline: NDArray[np.int64] | None


def decide(bundle: Path, images: NDArray[np.uint8], *, threads: int | None = None) -> Decided:
    """What the bundle in a folder says of `images`, uint8 `(n, H, W, 3)`; on the CPU, whatever else there is.

    So figures do not depend on the machine that they are measured on. `threads` are the CPU's that a call may use.
    """
    with Pipeline(bundle, backend="cpu", part="classifier", threads=threads) as bare:
        labels = bare.predict(images).argmax(axis=1)
    with Pipeline(bundle, backend="cpu", threads=threads) as whole:
        purifies = whole.manifest["purifier"] is not None
        return Decided(labels, whole.predict(images).argmax(axis=1) if purifies else None)


def compare_decisions(
    full: Decided, lower: Decided, labels: NDArray[np.int64] | None, precision: Precision
) -> dict[str, Any]:
    """The figures of a bundle beside those of the same networks in float32, on the same images.

    Args:
        full: by the bundle in float32.
        lower: by the one in `precision`.
        labels: `(n,)`, or None where they are not known.
        precision: what is put up with.

    Returns:
        For the bare classifier, and for the pipeline where there is one: images, top-1 agreement, classes that they
        were told to be, and the accuracies.

    Raises:
        ExportError: more accuracy is lost than is put up with; where labels are not known, more decisions are changed.
    """
    figures: dict[str, Any] = {}
    for part in ("classifier", "pipeline"):
        before, after = getattr(full, part), getattr(lower, part)
        if before is None or after is None:
            continue
        agreement = float((before == after).mean())
        figures[part] = {"images": len(before), "top1_agreement": agreement, "classes": len(np.unique(before))}
        lost = 1 - agreement
        if labels is not None:
            accuracies = {name: float((told == labels).mean()) for name, told in (("fp32", before), ("own", after))}
            figures[part]["accuracy_fp32"], figures[part]["accuracy"] = accuracies["fp32"], accuracies["own"]
            lost = accuracies["fp32"] - accuracies["own"]
        _check(part, lost, figures[part], precision)
    return figures


def performance_loss(clean: Decided, labels: NDArray[np.int64]) -> float | None:
    """Of the images that the bare classifier reads right, the share that the pipeline loses (PL); None of none.

    `labels`: `(n,)`.
    """
    assert clean.pipeline is not None
    right = clean.classifier == labels
    return float((clean.pipeline != labels)[right].mean()) if right.any() else None


def defense_counts(attacked: Decided, labels: NDArray[np.int64]) -> tuple[int, int]:
    """Of the images that fool the bare classifier, how many the pipeline reads right, and how many they are.

    The first by the second is D_suc. `labels`: `(n,)`.
    """
    assert attacked.pipeline is not None
    fooled = attacked.classifier != labels
    return int((attacked.pipeline == labels)[fooled].sum()), int(fooled.sum())


def known_labels(images: ImageSet, class_names: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The images' labels, where the classifier tells the same classes apart."""
    return images.labels if tuple(images.class_names) == class_names else None


def _check(part: str, lost: float, figures: dict[str, Any], precision: Precision) -> None:
    if 100 * lost <= precision.max_accuracy_drop + 1e-9:
        return
    if "accuracy" in figures:
        what = f"accuracy {figures['accuracy']:.2%} against {figures['accuracy_fp32']:.2%} in fp32"
    else:
        what = f"{figures['top1_agreement']:.2%} of the decisions the same as in fp32 (labels unknown; --data FOLDER)"
    others = "fp16 (of a PyTorch module) or fp32" if precision.name == "int8" else "fp32"
    raise ExportError(
        f"{precision.name} costs the {part} too much on {figures['images']} images: {what}; "
        f"{precision.max_accuracy_drop:g} points are put up with. "
        f"Next: --precision {others}, or --max-accuracy-drop {np.ceil(round(1000 * lost, 6)) / 10:g}"
    )

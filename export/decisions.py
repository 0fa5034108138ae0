"""What a bundle decides, measured in ONNX Runtime on the CPU: on clean images, and in a lower precision."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import ExportError
from pixelproof.export.interface import Interface
from pixelproof.export.precision import Precision
from pixelproof.export.reference import resized, source_of
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Bundle, Pipeline
from pixelproof.statistics import wilson_interval

_log = logging.getLogger("pixelproof")

_PART = 256  # images; of what else the pipeline gives no more is kept than of a part of them
_PERCENTILES = (50, 90, 99)  # of suspicion
_MANY_CHANGED = 0.2  # share of clean images; the shipped purifiers change 3 % at most


@dataclass(frozen=True)
class CleanImages:
    """Clean images: uint8 `(n, H, W, 3)`, labels `(n,)` or None where they are not known, and where they are from."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    source: str

    @classmethod
    def of(cls, given: ImageSet | None, interface: Interface) -> "CleanImages":
        """Those that an export was given, or the shipped sample at the classifier's size."""
        source = source_of(interface.size) if given is None else "given to the export"
        shown = sample() if given is None else given
        images = resized(shown.images, interface.size) if given is None else given.images
        # a classifier of other classes cannot be right, and of large images fewer are taken
        known = tuple(shown.class_names) == interface.class_names and len(images) == len(shown)
        return cls(images, shown.labels if known else None, source)


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


def clean_figures(bundle: Path, clean: CleanImages) -> tuple[dict[str, Any], Decided]:
    """What the bundle in a folder does with `clean`, on the CPU, for its manifest, and the labels that it gives.

    Returns:
        As the figures: how many images and their source; where labels are known the accuracy; behind a purifier the
        shares of decisions and of pixels that it changes, percentiles of suspicion, and where labels are
        known the accuracy and PL, None where the classifier has nothing right. Shares and suspicion are 0 to 1.

    Raises:
        BackendError: ONNX Runtime does not work.
    """
    with Pipeline(bundle, backend="cpu", part="classifier") as bare:
        before = bare.predict(clean.images).argmax(axis=1)
    figures: dict[str, Any] = {"images": len(clean.images), "source": clean.source}
    if clean.labels is not None:
        figures["accuracy"] = float((before == clean.labels).mean())
    with Pipeline(bundle, backend="cpu") as pipeline:
        if pipeline.manifest["purifier"] is None:
            return figures, Decided(before, None)
        after, suspicion, changed = _purified(pipeline, clean.images)
    decided = Decided(before, after)
    if clean.labels is not None:
        figures["pipeline_accuracy"] = float((after == clean.labels).mean())
        figures["pl"] = performance_loss(decided, clean.labels)
    figures["decisions_changed"] = float((before != after).mean())
    figures["pixels_changed"] = changed
    figures["suspicion_percentiles"] = {str(each): float(np.percentile(suspicion, each)) for each in _PERCENTILES}
    return figures, decided


def _purified(pipeline: Pipeline, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
    """Labels and suspicion of each image, and the share of pixels that are changed."""
    labels, suspicions, changed = [], [], 0
    for start in range(0, len(images), _PART):
        part = images[start : start + _PART]
        result = pipeline(part)
        assert result.suspicion is not None
        assert result.purified is not None
        labels.append(result.labels)
        suspicions.append(result.suspicion)
        changed += int((result.purified != part).any(axis=-1).sum())
    return np.concatenate(labels), np.concatenate(suspicions), changed / images[..., 0].size


def warn_of_chance(bundle: Bundle) -> None:
    """Of a classifier that a coin beats, by what its images leave open: most often it is given the wrong input."""
    clean, classes = bundle.manifest["clean"], len(bundle.class_names)
    if "accuracy" not in clean:
        return
    least, _ = wilson_interval(round(clean["accuracy"] * clean["images"]), clean["images"])
    if least <= 1 / classes and clean["accuracy"] < (1 + 1 / classes) / 2:  # of few images chance may do anything
        _log.warning(
            "the classifier is right on %.1f %% of %s clean images of %d classes, which chance may be too. Next: check "
            "that it takes images in 0..1, --mean and --std, and that --classes stand in the order of its outputs",
            100 * clean["accuracy"],
            f"{clean['images']:,}",
            classes,
        )


def warn_of_many_changes(bundle: Bundle) -> None:
    """Of a purifier that changes what is said of more clean images than any that is shipped."""
    changed = bundle.manifest["clean"].get("decisions_changed", 0)
    if changed > _MANY_CHANGED:
        _log.warning(
            "the purifier changes what the classifier says of %.0f %% of real clean images. Next: check that it takes "
            "and gives pixel values, 0 to 255; export it with --data FOLDER for what it costs on images of yours",
            100 * changed,
        )


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
        For the bare classifier, and for the pipeline where there is one: images, top-1 agreement, the number of
        classes that float32 names, and the accuracies.

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
            accuracies = {name: float((given == labels).mean()) for name, given in (("fp32", before), ("own", after))}
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


def purification(
    bundles: dict[str, tuple[Path, Decided]], labels: NDArray[np.int64], attacked: ImageSet | None
) -> dict[str, Any]:
    """What the purifier costs on clean images (PL), and what it undoes of successful attacks (D_suc), in each bundle.

    Args:
        bundles: by the suffix of the figures' names, the bundle's folder and what it decides of the clean images.
        labels: of the clean images, `(n,)`.
        attacked: adversarial images of this classifier; None where there are none.
    """
    figures: dict[str, Any] = {"clean_images": len(labels)}
    figures |= {f"pl{suffix}": performance_loss(clean, labels) for suffix, (_, clean) in bundles.items()}
    if attacked:
        figures["adversarial_images"] = len(attacked)
        for suffix, (bundle, _) in bundles.items():
            undone, fooled = defense_counts(decide(bundle, attacked.images), attacked.labels)
            figures[f"fooled{suffix}"] = fooled
            figures[f"d_suc{suffix}"] = undone / fooled if fooled else None
    return figures


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

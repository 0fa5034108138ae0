"""What a bundle says of clean images, and what its purifier costs there: the figures that its user sets alarms by."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.export.decisions import Decided, known_labels, performance_loss
from pixelproof.export.interface import Interface
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
        if given is not None:
            return cls(given.images, known_labels(given, interface.class_names), "given to the export")
        shipped = sample()
        images = resized(shipped.images, interface.size)
        known = len(images) == len(shipped)  # of large images fewer are taken
        labels = known_labels(shipped, interface.class_names) if known else None
        return cls(images, labels, source_of(interface.size))


def clean_figures(bundle: Path, clean: CleanImages) -> tuple[dict[str, Any], Decided]:
    """What the bundle in a folder does with `clean`, on the CPU, for its manifest, and the labels that it gives.

    Returns:
        As the figures: how many images and their source; where labels are known the accuracy; behind a purifier the
        shares of decisions and of pixels (their levels) that it changes, percentiles of suspicion, and where labels are
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
    told, classes = bundle.manifest["clean"], len(bundle.class_names)
    if "accuracy" not in told:
        return
    least, _ = wilson_interval(round(told["accuracy"] * told["images"]), told["images"])
    if least <= 1 / classes and told["accuracy"] < (1 + 1 / classes) / 2:  # of few images chance may do anything
        _log.warning(
            "the classifier is right on %.1f %% of %s clean images of %d classes, which chance may be too. Next: check "
            "that it takes images in 0..1, --mean and --std, and that --classes stand in the order of its outputs",
            100 * told["accuracy"],
            f"{told['images']:,}",
            classes,
        )


def warn_of_many_changes(bundle: Bundle) -> None:
    """Of a purifier that changes what is said of more clean images than any that is shipped."""
    changed = bundle.manifest["clean"].get("decisions_changed", 0)
    if changed > _MANY_CHANGED:
        _log.warning(
            "the purifier changes what the classifier says of %.0f %% of real clean images. Next: check that it takes "
            "and gives levels, 0 to 255; export it with --data FOLDER for what it costs on images of yours",
            100 * changed,
        )

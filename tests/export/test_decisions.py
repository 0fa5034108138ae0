"""What bundles decide, on clean images and in a lower precision, against counts by hand."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.errors import ExportError
from pixelproof.export import export_bundle
from pixelproof.export.decisions import (
    CleanImages,
    Decided,
    compare_decisions,
    decide,
    defense_counts,
    performance_loss,
)
from pixelproof.export.interface import Interface
from pixelproof.export.precision import Precision
from pixelproof.models import CIFAR10_CLASSES
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


def test_labels_are_those_of_both_graphs(lenet_median_bundle: Path, make_bundle):
    images = sample().images[:20].copy()
    images[:, 12, 12] = 255
    told = decide(lenet_median_bundle, images)
    with Pipeline(lenet_median_bundle, part="classifier") as bare, Pipeline(lenet_median_bundle) as whole:
        np.testing.assert_array_equal(told.classifier, bare(images).labels)
        np.testing.assert_array_equal(told.pipeline, whole(images).labels)
    alone = decide(make_bundle(purifier=None), images[:, :4, :6])
    assert alone.pipeline is None
    assert len(alone.classifier) == 20


def test_shares_are_of_the_images_that_the_own_classifier_has_wrong_or_right():
    labels = np.array([0, 1, 2, 3, 4, 5])
    decided = Decided(classifier=np.array([0, 1, 2, 0, 0, 0]), pipeline=np.array([0, 9, 9, 3, 0, 5]))
    assert performance_loss(decided, labels) == 2 / 3
    assert defense_counts(decided, labels) == (2, 3)
    assert defense_counts(Decided(labels, labels), labels) == (0, 0)


def test_what_costs_too_much_accuracy_is_refused_with_the_figures():
    labels = np.arange(10)
    full, lower = Decided(labels, labels), Decided(labels, np.r_[labels[:9], 0])
    assert compare_decisions(full, lower, labels, Precision("int8", "cpu", max_accuracy_drop=10))["pipeline"] == {
        "images": 10,
        "top1_agreement": 0.9,
        "classes": 10,
        "accuracy_fp32": 1.0,
        "accuracy": 0.9,
    }
    with pytest.raises(
        ExportError, match=r"int8 costs the pipeline too much on 10 images: accuracy 90.00% against 100"
    ):
        compare_decisions(full, lower, labels, Precision("int8", "cpu", max_accuracy_drop=9))
    labels = np.arange(200)  # one of 200 is half a point, though not as floats have it
    full, lower = Decided(labels, None), Decided(np.r_[labels[:199], 0], None)
    with pytest.raises(ExportError, match=r"fp16 \(of a PyTorch module\) or fp32, or --max-accuracy-drop 0.5$"):
        compare_decisions(full, lower, labels, Precision("int8", "cpu", max_accuracy_drop=0))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_figures_are_the_bundles_own_on_the_images_given(tmp_path: Path, precision: str):
    mine = sample().take(slice(0, 120, 2))
    options = {"purifier": "median", "test": mine, "precision": precision, "max_accuracy_drop": 10}
    bundle = export_bundle("lenet", tmp_path / "bundle", **options)
    told = bundle.manifest["clean"]
    with Pipeline(bundle.path, part="classifier") as bare, Pipeline(bundle.path) as pipeline:
        before, result = bare(mine.images).labels, pipeline(mine.images)
    right = before == mine.labels
    assert (told["images"], told["source"]) == (60, "given to the export")
    assert told["accuracy"] == right.mean()
    assert told["pipeline_accuracy"] == (result.labels == mine.labels).mean()
    assert told["pl"] == (result.labels != mine.labels)[right].mean()
    assert told["decisions_changed"] == (result.labels != before).mean()
    assert told["pixels_changed"] == (result.purified != mine.images).any(axis=3).mean() > 0
    assert told["suspicion_percentiles"] == {
        p: pytest.approx(np.percentile(result.suspicion, int(p)), abs=1e-6) for p in ("50", "90", "99")
    }


def test_a_bare_classifier_has_an_accuracy_alone(tmp_path: Path):
    bundle = export_bundle("lenet", tmp_path / "bundle", purifier="none")
    with Pipeline(bundle.path, part="classifier") as bare:
        right = bare(sample().images).labels == sample().labels
    assert bundle.manifest["clean"] == {"images": 200, "source": "CIFAR-10's test set", "accuracy": right.mean()}


def test_labels_are_known_of_the_same_classes_and_of_all_images():
    def shown(size: tuple[int, int], names: tuple[str, ...]) -> CleanImages:
        return CleanImages.of(None, Interface(size, names, None, "logits"))

    at_size = shown((32, 32), CIFAR10_CLASSES)
    assert (at_size.labels.tolist(), at_size.source) == (sample().labels.tolist(), "CIFAR-10's test set")
    assert shown((32, 32), ("a", "b")).labels is None
    large = shown((224, 224), CIFAR10_CLASSES)
    assert (len(large.images), large.labels, large.source) == (20, None, "CIFAR-10's test set, scaled")

"""What an export tells of clean images, against the bundle asked by hand."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.export import export_bundle
from pixelproof.export.decisions import CleanImages
from pixelproof.export.interface import Interface
from pixelproof.models import CIFAR10_CLASSES
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


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

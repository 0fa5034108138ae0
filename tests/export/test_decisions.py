"""What bundles decide, each graph asked once for each array of images."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.export import decisions
from pixelproof.export.decisions import Decisions, compare_decisions, compare_purification
from pixelproof.export.precision import Precision
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Pipeline


@pytest.fixture
def opened(monkeypatch):
    """The parts that were opened so far."""
    parts = []

    def counted(bundle, part):
        parts.append(part)
        return Pipeline(bundle, part=part)

    monkeypatch.setattr(decisions, "Pipeline", counted)
    return parts


def test_labels_are_those_of_the_part_and_asked_for_once(lenet_median_bundle: Path, opened):
    images = sample().images[:20]
    told = Decisions(lenet_median_bundle)
    assert told.purifies
    for part in ("classifier", "pipeline", "classifier", "pipeline"):
        with Pipeline(lenet_median_bundle, part=part) as pipeline:
            np.testing.assert_array_equal(told.of(part, images), pipeline(images).labels)
    assert opened == ["classifier", "pipeline"]
    np.testing.assert_array_equal(told.of("classifier", images[3:5]), told.of("classifier", images)[3:5])
    assert len(opened) == 3


def test_both_comparisons_of_one_set_take_two_looks_at_each_bundle(lenet_median_bundle: Path, opened):
    clean = sample().take(range(30))
    full, lower = Decisions(lenet_median_bundle), Decisions(lenet_median_bundle)
    figures = compare_decisions(full, lower, clean.images, clean.labels, Precision())
    assert figures["pipeline"]["top1_agreement"] == 1
    purified = compare_purification(full, lower, clean, None)
    assert purified["pl"] == purified["pl_fp32"]
    assert sorted(opened) == ["classifier", "classifier", "pipeline", "pipeline"]


def test_undone_is_what_fooled_the_own_classifier_and_lost_what_it_had_right(lenet_median_bundle: Path):
    """Against a count by hand, on shipped images that one white or black pixel was set in."""
    clean = sample().take(range(60))
    images = clean.images.copy()
    images[:, 12, 12] = np.where(np.arange(60)[:, None] % 2, 255, 0)
    attacked = ImageSet(images, clean.labels, clean.class_names)
    told = Decisions(lenet_median_bundle)
    found = compare_purification(told, told, clean, attacked)
    bare, whole = told.of("classifier", images), told.of("pipeline", images)
    fooled = [i for i in range(60) if bare[i] != clean.labels[i]]
    assert found["d_suc"] == sum(whole[i] == clean.labels[i] for i in fooled) / len(fooled)
    right = [i for i in range(60) if told.of("classifier", clean.images)[i] == clean.labels[i]]
    assert found["pl"] == sum(told.of("pipeline", clean.images)[i] != clean.labels[i] for i in right) / len(right)
    assert (found["clean_images"], found["adversarial_images"]) == (60, 60)

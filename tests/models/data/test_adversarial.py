"""The shipped adversarial images differ in one pixel from shipped ones, and fool the shipped classifiers."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pixelproof.models import provenance
from pixelproof.models.data import adversarial_sample, sample, write_adversarial_sample
from pixelproof.models.data.sample import SAMPLE_FOLDER

KNOWN = "lenet"


def known_sample():
    found = adversarial_sample(KNOWN, provenance(KNOWN)["weights_sha256"])
    assert found is not None
    return found


def test_each_is_a_sample_image_with_one_pixel_changed():
    clean, fooling = sample(), known_sample()
    assert len(fooling) > 80
    for image, label in zip(fooling.images, fooling.labels, strict=True):
        changed = (clean.images != image).any(axis=3).sum(axis=(1, 2))
        assert changed.min() == 1
        assert clean.labels[changed.argmin()] == label


def test_each_fools_the_classifier_it_was_made_for():
    torch = pytest.importorskip("torch")
    from pixelproof.models import build_classifier

    fooling = known_sample()
    with torch.no_grad():
        told = build_classifier(KNOWN)(torch.from_numpy(fooling.images).permute(0, 3, 1, 2) / 255).argmax(1)
    assert not np.any(told.numpy() == fooling.labels)


def test_other_weights_and_other_classifiers_have_none():
    assert adversarial_sample(KNOWN, "0" * 64) is None
    assert adversarial_sample("mine", "0" * 64) is None


def test_what_is_written_is_read_and_others_stay(tmp_path: Path):
    for name in ("sample.bin", "sample.json"):
        shutil.copy(SAMPLE_FOLDER / name, tmp_path / name)
    write_adversarial_sample("one", "1" * 64, "by hand", [(3, 4, 5, 6, 7, 8)], tmp_path)
    write_adversarial_sample("two", "2" * 64, "by hand", [], tmp_path)
    found = adversarial_sample("one", "1" * 64, tmp_path)
    assert found is not None
    assert found.images[0, 4, 5].tolist() == [6, 7, 8]
    assert found.labels[0] == sample().labels[3]
    none = adversarial_sample("two", "2" * 64, tmp_path)
    assert none is not None
    assert len(none) == 0

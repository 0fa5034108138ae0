"""What a bundle gets right is asked once, and kept apart for other graphs and other images."""

import json
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation.clean import gets_right
from pixelproof.errors import DataError
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Pipeline


@pytest.fixture
def some() -> ImageSet:
    return sample().take(np.arange(24))


def test_it_is_what_the_network_says_and_is_asked_once(lenet_median_bundle: Path, some, tmp_path, monkeypatch):
    with Pipeline(lenet_median_bundle) as whole, Pipeline(lenet_median_bundle, part="classifier") as bare:
        expected = [each.predict(some.images).argmax(1) == some.labels for each in (whole, bare)]
        found = [gets_right(each, some, tmp_path / "new") for each in (whole, bare)]
        monkeypatch.setattr(Pipeline, "predict", lambda *_: pytest.fail("asked again"))
        again = [gets_right(each, some, tmp_path / "new") for each in (whole, bare)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again, expected)
    assert all(0 < right.sum() < len(right) for right in expected)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_other_images_or_labels_are_asked_of(lenet_median_bundle: Path, some, tmp_path):
    relabeled = ImageSet(some.images, (some.labels + 1) % 10, some.class_names)
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        for data in (some, relabeled, some.take(np.arange(23))):
            expected = bare.predict(data.images).argmax(1) == data.labels
            np.testing.assert_array_equal(gets_right(bare, data, tmp_path), expected)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_stands_before_the_network_is_asked_of_apart(lenet_median_bundle: Path, some, tmp_path, monkeypatch):
    changes = {"upside down": lambda images: images[:, ::-1], "dark": lambda images: images // 4}
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        expected = [bare.predict(change(some.images)).argmax(1) == some.labels for change in changes.values()]
        found = [gets_right(bare, some, tmp_path, behind) for behind in changes.items()]
        plain = gets_right(bare, some, tmp_path)
        monkeypatch.setattr(Pipeline, "predict", lambda *_: pytest.fail("asked again"))
        again = [gets_right(bare, some, tmp_path, behind) for behind in changes.items()]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again, expected)
    assert any((right != plain).any() for right in expected)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: "{",
        lambda kept: "[]",
        lambda kept: json.dumps(kept | {"wrong": [24]}),
        lambda kept: json.dumps(kept | {"wrong": [-1]}),
        lambda kept: json.dumps(kept | {"provider": "another"}),
        lambda kept: "{}",
    ],
)
def test_a_damaged_file_is_named(damage, lenet_median_bundle: Path, some, tmp_path):
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        gets_right(bare, some, tmp_path)
        (file,) = tmp_path.iterdir()
        file.write_text(damage(json.loads(file.read_text())))
        with pytest.raises(DataError, match=f"'{file}' is damaged. Next: delete the file"):
            gets_right(bare, some, tmp_path)

"""This project's contenders on the real LeNet: they are `attack` itself, and they count what was shown."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.evaluation.victims import bare_classifier
from pixelproof.attack.search.scheduler import Scheduler
from pixelproof.benchmarks.attack_speed_contenders import (
    CONTENDERS,
    Target,
    corners,
    corners_in_pytorch,
    corners_screened,
    corners_screened_in_bf16,
    de,
    de_in_pytorch,
)
from pixelproof.benchmarks.latency_ways import Absent
from pixelproof.errors import BundleError, UsageError

OWN = (corners, corners_screened, corners_screened_in_bf16, corners_in_pytorch, de, de_in_pytorch)


@pytest.fixture
def shown(monkeypatch) -> list[int]:
    """How many images each look of the attack shows since, padding left out."""
    sizes: list[int] = []
    inner = Scheduler._show

    def show(scheduler, image_of_row, positions, colors):
        sizes.append(len(image_of_row))
        return inner(scheduler, image_of_row, positions, colors)

    monkeypatch.setattr(Scheduler, "_show", show)
    return sizes


@pytest.mark.parametrize("make", OWN)
@pytest.mark.parametrize("index", [0, 1])
def test_queries_are_the_images_shown(make, index: int, lenet: Target, some, budget, shown):
    found = make(lenet, budget).attack(some.images.images[index], int(some.images.labels[index]))
    assert found.queries == sum(shown)
    assert (found.image != some.images.images[index]).any(-1).sum() <= 1


@pytest.mark.parametrize("make", [corners, de])
def test_they_find_what_the_attack_finds(make, lenet: Target, some, budget):
    data = some.images
    parameters = (
        {"generations": 2, "population": 50} if make is de else {"order": bare_classifier(lenet.deployed).order}
    )
    expected = attack(lenet.searched.predict, data.images, data.labels, method=make.__name__, seed=3, **parameters)
    contender = make(lenet, type(budget)(generations=2, population=50, seed=3))
    found = [contender.attack(image, int(label)) for image, label in zip(data.images, data.labels, strict=True)]
    np.testing.assert_array_equal([each.image for each in found], expected.images)
    assert [each.exhausted for each in found] == expected.exhausted.tolist()
    assert contender.provider == "CPUExecutionProvider"


def test_a_network_that_was_asked_for_probabilities_first_still_has_gradients(lenet_median_bundle: Path, some, budget):
    target, data = Target(lenet_median_bundle, threads=1), some.images
    target.predict_in_pytorch(data.images[:1])
    assert corners_in_pytorch(target, budget).attack(data.images[1], int(data.labels[1])).queries > 0
    target.close()


def test_both_forms_of_the_classifier_say_the_same(lenet: Target, some):
    images = some.images.images
    np.testing.assert_allclose(lenet.predict_in_pytorch(images), lenet.deployed.predict(images), atol=1e-5)


@pytest.mark.parametrize("other", [corners_in_pytorch, corners_screened, corners_screened_in_bf16])
def test_other_forms_of_corners_fell_the_same_images(other, lenet: Target, some, budget):
    for image, label in zip(some.images.images[1:], some.images.labels[1:].tolist(), strict=True):
        found = [make(lenet, budget).attack(image, label) for make in (corners, other)]
        np.testing.assert_array_equal(*(each.image for each in found))
        assert lenet.deployed.predict(found[0].image[None]).argmax() != label


@pytest.mark.parametrize(("make", "name"), [(corners_screened, "int8"), (corners_screened_in_bf16, "bf16")])
def test_a_screened_search_exhausts_nothing(make, name: str, lenet: Target, some, budget):
    withstanding, label = some.images.images[0], int(some.images.labels[0])
    assert corners(lenet, budget).attack(withstanding, label).exhausted
    assert not make(lenet, budget).attack(withstanding, label).exhausted
    cascade = lenet.screened(name).predict
    assert cascade.discarded > 0.5 * cascade.asked


def test_only_float32_is_screened(lenet_median_bundle: Path, budget, monkeypatch):
    target = Target(lenet_median_bundle, threads=1)
    monkeypatch.setitem(target.manifest, "precision", "int8")
    for make in (corners_screened, corners_screened_in_bf16):
        with pytest.raises(Absent, match="left out, since a classifier in int8 has no cascade"):
            make(target, budget)
    target.close()


def test_the_list_begins_with_this_projects():
    assert CONTENDERS[:6] == OWN
    assert len(CONTENDERS) == 8


def test_only_shipped_networks_are_taken(make_bundle, lenet_median_bundle: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"classifier 'means' .* Next: pixelproof export lenet"):
        Target(make_bundle(), threads=None)
    own = shutil.copytree(lenet_median_bundle, tmp_path / "own")
    manifest = json.loads((own / "bundle.json").read_text())
    manifest["classifier"]["weights_sha256"] = "0" * 64
    (own / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="not one that is shipped"):
        Target(own, threads=None)
    with pytest.raises(BundleError, match="there is no bundle"):
        Target(tmp_path / "none", threads=None)

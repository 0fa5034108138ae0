"""`strongest`: what the searches find one after the other, each on the images that withstood those before."""

from typing import Any

import numpy as np
import pytest

from pixelproof.attack import attack, sweep_ranking
from pixelproof.errors import UsageError

EVOLUTION = {"population": 24, "generations": 6}


def one_after_the_other(classifier, images, labels, searches, **settings) -> dict[str, Any]:
    """The union, by a call for each search, and how many images fell to each."""
    left = np.flatnonzero(classifier.labels(images) == labels)
    queries, pixels, colors = np.zeros(len(images), int), {}, {}
    fell = []
    for method, parameters in searches:
        targets = settings["targets"]
        found = attack(
            classifier,
            images[left],
            labels[left],
            method=method,
            **{**settings, "targets": None if targets is None else targets[left], **parameters},
        )
        queries[left] += found.queries
        for image, row in zip(left[found.success].tolist(), np.flatnonzero(found.success), strict=True):
            pixels[image], colors[image] = found.pixels[row].tolist(), found.colors[row].tolist()
        fell.append(int(found.success.sum()))
        left = left[~found.success]
    return {"queries": queries.tolist(), "pixels": pixels, "colors": colors, "fell": fell}


@pytest.mark.parametrize(("pixels", "targeted"), [(1, False), (1, True), (2, False)])
def test_the_union_is_what_the_searches_find_one_after_the_other(victims, pixels, targeted):
    classifier, images, labels = victims
    order = sweep_ranking(classifier)
    targets = (labels + 1) % 4 if targeted else None
    passed = np.full((len(images), 8, 7, 1, 3), 7, np.uint8)
    searches = [
        ("corners", {"order": order, "colors": lambda some: passed[: len(some)]}),
        ("corners", {"order": order}),
        ("levels", {"order": order, "levels": 3}),
        ("de", {"seed": 5, **EVOLUTION}),
        ("de", {"seed": 6, **EVOLUTION}),
    ]
    expected = one_after_the_other(classifier, images, labels, searches, pixels=pixels, targets=targets)
    parameters = {"order": order, "colors": lambda some: passed[: len(some)], "levels": 3, "seeds": 2, **EVOLUTION}
    settings = {"pixels": pixels, "seed": 5, "targets": targets}
    found = attack(classifier, images, labels, method="strongest", **settings, **parameters)
    assert expected["fell"][0] > 0
    assert expected["fell"][1] > 0
    assert 0 < found.success.sum() < found.attacked.sum() < len(images)
    assert set(np.flatnonzero(found.success).tolist()) == set(expected["pixels"])
    assert found.queries.tolist() == expected["queries"]
    for image, places in expected["pixels"].items():
        assert found.pixels[image].tolist() == places
        assert found.colors[image].tolist() == expected["colors"][image]


def test_what_withstands_everything_has_cost_all_searches_and_exhausts_no_set(make_crops, never):
    found = attack(never, make_crops(2, 4, 5), [0, 0], method="strongest", levels=3, seeds=2, **EVOLUTION)
    swept, evolved = 4 * 5 * (8 + 27), 2 * 24 * 7
    assert found.queries.tolist() == [swept + evolved] * 2
    assert ((swept < found.evaluated) & (found.evaluated <= found.queries)).all()  # evolution's repeats are known
    assert not found.exhausted.any()


def test_a_color_inside_the_cube_falls_to_the_levels_after_all_corners_have_been_tried(make_crops):
    images = make_crops(2, 4, 5)

    def weak_spot(batch):
        hit = (batch == (85, 170, 85)).all(axis=-1)[:, 2, 3]
        return np.stack([1 - hit, hit], axis=1).astype(np.float32)

    found = attack(weak_spot, images, [0, 0], method="strongest", **EVOLUTION)
    assert found.success.all()
    assert found.pixels.tolist() == [[[2, 3]]] * 2
    colors_before = 4 * 4 * 1 + 4 * 2 + 1
    assert found.queries.tolist() == [4 * 5 * 8 + 64 * (2 * 5 + 3) + colors_before + 1] * 2


def test_progress_never_goes_back_and_ends_at_one(victims, monkeypatch):
    monkeypatch.setattr("pixelproof.attack.search.driver._PROGRESS_EVERY_S", 0)
    classifier, images, labels = victims
    told = []
    attack(classifier, images, labels, method="strongest", seeds=2, **EVOLUTION, progress=told.append, batch_size=32)
    shares = [each.share for each in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert told[-1].finished == len(images)
    assert len(told) > 50


def test_images_that_a_purifier_tells_nothing_of_are_given_no_colors(victims):
    classifier, images, labels = victims
    plain = attack(classifier, images, labels, method="strongest", seeds=1, **EVOLUTION)
    corners = attack(classifier, images, labels, method="corners")
    np.testing.assert_array_equal(plain.pixels[corners.success], corners.pixels[corners.success])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seeds": 0}, "seeds"),
        ({"levels": 1}, "levels"),
        ({"population": 3}, "population"),
        ({"low": 3}, "'low'.*there are.*seeds"),
    ],
)
def test_unfit_parameters_are_refused(victims, parameters, message):
    with pytest.raises(UsageError, match=message):
        attack(*victims, method="strongest", **parameters)


def test_the_last_seed_must_exist_too(victims):
    with pytest.raises(UsageError, match="seed"):
        attack(*victims, method="strongest", seed=2**63 - 2)

import dataclasses

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.results import AttackResult, Outcome


def outcome(index):
    return Outcome(
        index,
        attacked=index != 0,
        success=index == 1,
        pixels=np.full((2, 2), index, np.int64),
        colors=np.full((2, 3), index, np.uint8),
        image=np.full((4, 5, 3), index, np.uint8),
        probabilities_before=np.full(6, index, np.float32),
        probabilities_after=np.full(6, 10 * index, np.float32),
        queries=10 * index,
        evaluated=20 * index,
        exhausted=index == 2,
    )


def test_outcomes_stand_in_the_order_of_the_images_however_they_came():
    result = AttackResult.of([outcome(2), outcome(0), outcome(1)])
    assert result.attacked.tolist() == [False, True, True]
    assert result.success.tolist() == [False, True, False]
    assert result.pixels[:, 0, 0].tolist() == [0, 1, 2]
    assert result.colors[:, 0, 0].tolist() == [0, 1, 2]
    assert result.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert result.probabilities_before[:, 0].tolist() == [0, 1, 2]
    assert result.probabilities_after[:, 0].tolist() == [0, 10, 20]
    assert result.queries.tolist() == [0, 10, 20]
    assert result.evaluated.tolist() == [0, 20, 40]
    assert result.exhausted.tolist() == [False, False, True]


@pytest.mark.parametrize("method", ["corners", "levels", "de"])
@pytest.mark.parametrize("pixels", [1, 3])
def test_every_field_has_the_shape_and_dtype_that_is_written_down(make_crops, make_classifier, method, pixels):
    images, classifier = make_crops(5, 4, 6), make_classifier(4, 6)
    labels = classifier.labels(images)
    labels[0] = (labels[0] + 1) % 4
    parameters = {"population": 8, "generations": 1} if method == "de" else {}
    found = attack(classifier, images, labels, method=method, pixels=pixels, **parameters)
    shapes = {
        "attacked": (np.bool_, (5,)),
        "success": (np.bool_, (5,)),
        "pixels": (np.int64, (5, pixels, 2)),
        "colors": (np.uint8, (5, pixels, 3)),
        "images": (np.uint8, (5, 4, 6, 3)),
        "probabilities_before": (np.float32, (5, 4)),
        "probabilities_after": (np.float32, (5, 4)),
        "queries": (np.int64, (5,)),
        "evaluated": (np.int64, (5,)),
        "exhausted": (np.bool_, (5,)),
    }
    assert {field.name for field in dataclasses.fields(found)} == set(shapes)
    for name, (dtype, shape) in shapes.items():
        assert (getattr(found, name).dtype, getattr(found, name).shape) == (dtype, shape)
    assert not np.shares_memory(found.images, images)


def test_pixels_are_rows_and_columns_and_fewer_than_k_repeat_one(make_crops, never):
    def wrong_where_white(images):
        answers = never(images)
        answers[(images[:, 2, 3] == 255).all(axis=-1)] = [0.1, 0.2, 0.7]
        return answers

    found = attack(wrong_where_white, make_crops(1, 4, 6), [0], pixels=3)  # a single pixel is tried before teams
    assert found.pixels.tolist() == [[[2, 3]] * 3]
    assert found.colors.tolist() == [[[255] * 3] * 3]
    assert (found.images[0, 2, 3] == 255).all()

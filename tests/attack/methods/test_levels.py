"""`levels`: every position x L^3 evenly spaced colors of a box."""

import itertools

import numpy as np
import pytest

from pixelproof.attack import attack

ONE_BY_ONE = 1  # rows a batch: the classifier is then shown the candidates in their order, and nothing else


@pytest.mark.parametrize(
    ("low", "high", "levels", "expected"),
    [
        (0, 255, 2, [0, 255]),
        (0, 255, 4, [0, 85, 170, 255]),
        (0, 255, 3, [0, 128, 255]),  # 127.5 is rounded up
        (10, 13, 3, [10, 12, 13]),
        (7, 8, 4, [7, 7, 8, 8]),  # a box too small for four different levels
        (9, 9, 2, [9, 9]),
    ],
)
def test_every_color_of_the_grid_is_shown_once_in_the_order_of_the_numbers(
    make_crops, never, record, low, high, levels, expected
):
    image = make_crops(1, 2, 3)[0]
    shown = record(never)
    found = attack(shown, image[None], [0], method="levels", low=low, high=high, levels=levels, batch_size=ONE_BY_ONE)
    candidates = []
    for row, column in itertools.product(range(2), range(3)):
        for color in itertools.product(expected, repeat=3):
            candidates.append(image.copy())
            candidates[-1][row, column] = color
    assert np.array_equal(shown.rows[1:], np.stack(candidates))
    assert found.exhausted.tolist() == [True]
    assert found.queries.tolist() == found.evaluated.tolist() == [6 * levels**3]


def test_four_levels_are_the_default(make_crops, never):
    assert attack(never, make_crops(1, 2, 3), [0], method="levels").queries.tolist() == [6 * 4**3]


def test_a_box_may_differ_at_every_position_and_channel(make_crops, make_images, never, record):
    image, (low, high) = make_crops(1, 2, 3), np.sort(make_images(2, 2, 3), axis=0)
    shown = record(never)
    attack(shown, image, [0], method="levels", levels=5, low=low[None], high=high[None], batch_size=ONE_BY_ONE)
    drawn = shown.rows[1:].reshape(2, 3, 5, 5, 5, 2, 3, 3)
    for row, column in itertools.product(range(2), range(3)):
        colors = drawn[row, column, :, :, :, row, column]
        for channel in range(3):
            along = np.moveaxis(colors, channel, 0)[..., channel]
            assert (along == along[:, :1, :1]).all()  # a channel's level depends on its own index alone
            exact = np.linspace(low[row, column, channel], high[row, column, channel], 5)
            assert np.abs(along[:, 0, 0] - exact).max() <= 0.5
            assert along[[0, -1], 0, 0].tolist() == [low[row, column, channel], high[row, column, channel]]


def test_two_levels_are_the_corners(make_crops, make_classifier, same_outcomes):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    box = {"low": [0, 20, 40], "high": [200, 220, 255]}
    corners = attack(classifier, images, labels, method="corners", **box)
    assert 0 < corners.success.sum() < 12
    same_outcomes(corners, attack(classifier, images, labels, method="levels", levels=2, **box))


def test_more_levels_find_what_lies_between_the_corners(make_crops, never):
    def only_half_gray(images):
        answers = never(images)
        answers[(images == 128).all(axis=-1).any(axis=(1, 2))] = [0.1, 0.2, 0.7]
        return answers

    images = make_crops(2, 4, 5)
    assert not attack(only_half_gray, images, [0, 0], method="corners").success.any()
    found = attack(only_half_gray, images, [0, 0], method="levels", levels=3)
    assert found.colors.tolist() == [[[128, 128, 128]]] * 2
    assert found.pixels.tolist() == [[[0, 0]]] * 2
    assert found.queries.tolist() == [1 + 13] * 2  # (1, 1, 1) of 3 x 3 x 3

"""Tables of colors against their formula, numbers to positions and colors, and candidates drawn on a canvas."""

import itertools
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from pixelproof.attack.search.candidates import Canvas, box_table, decode, listed_table


@pytest.mark.parametrize("levels", [2, 3, 4, 7, 16])
def test_every_box_is_divided_evenly_and_rounded_half_up(levels):
    ends = [(low, high) for low in (0, 1, 100, 254, 255) for high in range(low, 256)]
    low, high = (np.array(end, np.uint8).reshape(1, -1, 1, 1) for end in zip(*ends, strict=True))
    table = box_table(low, high, levels, (1, len(ends), 1, 3))(np.zeros(1, np.int64))
    assert table.dtype == np.uint8
    assert table.shape == (1, len(ends), 1, levels**3, 3)
    gray = table[0, :, 0, :: levels**2 + levels + 1]  # colors whose three channels have the same level
    for (lowest, highest), row in zip(ends, gray, strict=True):
        exact = [lowest + Fraction((highest - lowest) * step, levels - 1) for step in range(levels)]
        assert row.tolist() == [[floor(value + Fraction(1, 2))] * 3 for value in exact]


def test_the_colors_number_has_red_as_its_highest_digit():
    table = box_table([0, 10, 20], [2, 12, 22], 3, (1, 1, 1, 3))(np.zeros(1, np.int64))
    assert table[0, 0, 0].tolist() == [list(each) for each in itertools.product((0, 1, 2), (10, 11, 12), (20, 21, 22))]


def test_a_table_is_of_the_images_that_are_asked_for_in_their_order(make_images):
    low = make_images(5, 2, 3)
    table = box_table(low, 255, 2, low.shape)
    assert np.array_equal(table(np.array([4, 0, 4]))[..., 0, :], low[[4, 0, 4]])


def test_listed_colors_come_as_an_array_or_from_a_function(make_images):
    images, colors = make_images(5, 2, 3), make_images(5 * 2, 3, 4, seed=1).reshape(5, 2, 3, 4, 3)
    indices = np.array([3, 1])
    assert np.array_equal(listed_table(colors, images)(indices), colors[[3, 1]])

    def ask(some):
        assert np.array_equal(some, images[[3, 1]])
        return colors[[3, 1]]

    assert np.array_equal(listed_table(ask, images)(indices), colors[[3, 1]])


def test_numbers_become_positions_and_colors(make_images):
    colors = make_images(2, 3, 5).reshape(2, 3, 5, 3)  # five colors at each position of 2x3
    numbers = np.array([[0, 29], [14, 14], [7, 22]], np.int32)
    candidates = decode(colors, numbers)
    assert candidates.positions.dtype == np.int64
    assert candidates.positions.tolist() == [[0, 5], [2, 2], [1, 4]]
    expected = [[colors[0, 0, 0], colors[1, 2, 4]], [colors[0, 2, 4]] * 2, [colors[0, 1, 2], colors[1, 1, 2]]]
    assert np.array_equal(candidates.colors, expected)


@pytest.mark.parametrize("pixels", [1, 3])
def test_draws_what_a_plain_copy_would_show(make_images, pixels):
    images = make_images(4, 3, 5)
    canvas, random = Canvas(images, 8), np.random.default_rng(1)
    for rows in (8, 3, 8, 1, 5, 8):  # rows change image, stay, or hold what they held
        which = np.sort(random.integers(0, 4, rows))
        positions = random.integers(0, 15, (rows, pixels))
        colors = random.integers(0, 256, (rows, pixels, 3), dtype=np.uint8)
        batch = canvas.draw(which, positions, colors)
        assert batch.shape == (8, 3, 5, 3)
        for row in range(rows):
            expected = images[which[row]].copy()
            for position, color in zip(positions[row], colors[row], strict=True):
                expected[position // 5, position % 5] = color
            assert np.array_equal(batch[row], expected)
        canvas.wipe()
        assert np.array_equal(canvas.batch[:rows], images[which])


def test_of_equal_positions_the_last_is_seen(make_images):
    canvas = Canvas(make_images(1, 2, 2), 1)
    colors = np.array([[[1, 1, 1], [2, 2, 2]]], np.uint8)
    batch = canvas.draw(np.zeros(1, np.int64), np.array([[3, 3]]), colors)
    assert batch[0, 1, 1].tolist() == [2, 2, 2]


def test_draws_unchanged_images(make_images):
    images = make_images(3, 2, 2)
    canvas = Canvas(images, 4)
    which = np.array([2, 0, 1])
    batch = canvas.draw(which, np.empty((3, 0), np.int64), np.empty((3, 0, 3), np.uint8))
    assert np.array_equal(batch[:3], images[which])
    canvas.wipe()
    assert np.array_equal(canvas.batch[:3], images[which])

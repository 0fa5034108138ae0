"""Tables of colors against their formula, and numbers to positions and colors."""

import itertools
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from pixelproof.attack.search.candidates import box_table, decode, listed_table


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

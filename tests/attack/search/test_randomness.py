import hashlib

import numpy as np

from pixelproof.attack.search.randomness import (
    first_population,
    make_normal_colors,
    normal_colors,
    parents,
    philox4x32,
    search_key,
)

KEY = (0x12345678, 0x9ABCDEF0)


def test_shipped_colors_are_the_quantiles():
    assert normal_colors().dtype == np.uint8
    assert np.array_equal(normal_colors(), make_normal_colors())


def test_colors_are_normal_and_clipped():
    table = normal_colors()
    assert (np.diff(table.astype(int)) >= 0).all()
    assert table[32767] == table[32768] == 128
    assert table[round(65536 * 0.8413)] == 255  # mean + 1 standard deviation
    assert 0.15 < (table == 0).mean() < 0.17


def test_key_layout():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    header = (
        (7).to_bytes(8, "little")
        + b"de" + bytes(14)
        + (3).to_bytes(4, "little")
        + (-1).to_bytes(4, "little", signed=True)
        + (5).to_bytes(4, "little")
    )  # fmt: skip
    digest = hashlib.sha256(header + bytes(range(18))).digest()
    expected = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
    assert search_key(7, "de", 3, None, 5, image) == expected


def test_each_ingredient_changes_the_key():
    image = np.zeros((2, 2, 3), np.uint8)
    other = image.copy()
    other[1, 1, 2] = 1
    keys = {
        search_key(0, "de", 1, None, 0, image),
        search_key(1, "de", 1, None, 0, image),
        search_key(0, "corners", 1, None, 0, image),
        search_key(0, "de", 2, None, 0, image),
        search_key(0, "de", 1, 1, 0, image),
        search_key(0, "de", 1, None, 1, image),
        search_key(0, "de", 1, None, 0, other),
    }
    assert len(keys) == 7


def test_first_population_takes_its_words_in_the_stated_order():
    height, width, pixels = 5, 7, 3
    population = first_population(KEY, 20, pixels, height, width)
    assert population.dtype == np.float32
    for candidate, pixel, field in [(0, 0, 0), (3, 0, 4), (19, 2, 1), (7, 1, 3)]:
        variate = 5 * pixel + field
        word = int(philox4x32((variate // 4, candidate, 0, 0), KEY)[variate % 4])
        bound = {0: height, 1: width}.get(field)
        expected = normal_colors()[word >> 16] if bound is None else word * bound >> 32
        assert population[candidate, pixel, field] == expected


def test_parents_are_distinct_and_redrawn_from_further_blocks():
    size = 6  # so small that most triples clash at first
    drawn = parents(KEY, range(1, 30), size)
    assert drawn.shape == (3, 29, size)
    redrawn = 0
    for generation in range(1, 30):
        for own in range(size):
            block = 0
            while True:
                words = philox4x32((block, own, generation, 0), KEY)[:3]
                triple = [int(word) * size >> 32 for word in words]
                if len({*triple, own}) == 4:
                    break
                block += 1
            redrawn += block
            assert drawn[:, generation - 1, own].tolist() == triple
    assert redrawn > 100


def test_parents_do_not_depend_on_how_many_generations_are_drawn_at_once():
    assert np.array_equal(parents(KEY, range(1, 9), 50)[:, 4:], parents(KEY, range(5, 9), 50))

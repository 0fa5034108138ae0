import hashlib

import numpy as np
import pytest

from pixelproof.attack.search.randomness import (
    below,
    first_population,
    make_normal_colors,
    normal_colors,
    parents,
    philox4x32,
    search_key,
)

ONES = 0xFFFFFFFF
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


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # known-answer vectors that Random123 publishes for philox4x32, 10 rounds
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_vectors(counter, key, words):
    assert tuple(int(word) for word in philox4x32(counter, key)) == words


def test_many_counters_at_once_give_what_each_gives_alone():
    blocks, candidates = np.arange(3, dtype=np.uint64), np.arange(5, dtype=np.uint64)[:, None]
    together = np.stack(philox4x32((blocks, candidates, 7, 0), (1, 2)))
    assert together.shape == (4, 5, 3)
    alone = np.stack(philox4x32((2, 4, 7, 0), (1, 2)))
    assert np.array_equal(together[:, 4, 2], alone)


def test_index_is_the_high_word_of_the_product():
    words = np.array([0, 1, 0x7FFFFFFF, 0x80000000, ONES], np.uint64)
    assert below(400, words).tolist() == [int(word) * 400 >> 32 for word in words]
    assert below(1, words).tolist() == [0] * 5

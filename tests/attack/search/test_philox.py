import numpy as np
import pytest

from pixelproof.attack.search.randomness import below, philox4x32

ONES = 0xFFFFFFFF


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

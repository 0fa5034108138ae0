import ctypes

import numpy as np
import pytest

from pixelproof.attack.search.randomness import below, philox4x32

ONES = 0xFFFFFFFF

PROBE = """
#include "host.h"

extern "C" void words_of(const word *counters, const word *keys, word *words, int count) {
    for (int i = 0; i < count; ++i, counters += 4, keys += 2, words += 4) {
        Words counter = {{counters[0], counters[1], counters[2], counters[3]}};
        Words drawn = philox4x32(counter, keys[0], keys[1]);
        for (int at = 0; at < 4; ++at) words[at] = drawn.at[at];
    }
}

extern "C" int index_below(int bound, word drawn) { return below(bound, drawn); }
"""


@pytest.fixture(scope="module")
def probe(compile_host, tmp_path_factory):
    source = tmp_path_factory.mktemp("probe") / "probe.cpp"
    source.write_text(PROBE)
    library = compile_host(source)
    library.index_below.argtypes = [ctypes.c_int, ctypes.c_uint]
    return library


def words_of(probe, counters, keys):
    counters, keys = np.array(counters, np.uint32), np.array(keys, np.uint32)
    words = np.empty_like(counters)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (counters, keys, words)]
    probe.words_of(*pointers, len(counters))
    return words


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
def test_published_vectors(probe, counter, key, words):
    assert words_of(probe, [counter], [key]).tolist() == [list(words)]


def test_any_words_are_the_references(probe):
    rng = np.random.default_rng(0)
    counters, keys = rng.integers(0, 1 << 32, (500, 4)), rng.integers(0, 1 << 32, (500, 2))
    drawn = words_of(probe, counters, keys)
    for counter, key, words in zip(counters.tolist(), keys.tolist(), drawn.tolist(), strict=True):
        assert [int(word) for word in philox4x32(counter, tuple(key))] == words


def test_index_is_the_high_word_of_the_product(probe):
    words = [0, 1, 0x7FFFFFFF, 0x80000000, ONES]
    for bound in (1, 4, 400, 2**31 - 1):
        indices = [probe.index_below(bound, word) for word in words]
        assert indices == below(bound, np.array(words, np.uint64)).tolist()

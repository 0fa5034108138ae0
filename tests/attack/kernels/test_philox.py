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


def test_any_words_are_the_references(probe):
    rng = np.random.default_rng(0)
    counters, keys = rng.integers(0, 1 << 32, (500, 4)), rng.integers(0, 1 << 32, (500, 2))
    counters[:2], keys[:2] = [[0], [ONES]], [[0], [ONES]]
    drawn = words_of(probe, counters, keys)
    for counter, key, words in zip(counters.tolist(), keys.tolist(), drawn.tolist(), strict=True):
        assert [int(word) for word in philox4x32(counter, tuple(key))] == words


def test_index_is_the_high_word_of_the_product(probe):
    words = [0, 1, 0x7FFFFFFF, 0x80000000, ONES]
    for bound in (1, 4, 400, 2**31 - 1):
        indices = [probe.index_below(bound, word) for word in words]
        assert indices == below(bound, np.array(words, np.uint64)).tolist()

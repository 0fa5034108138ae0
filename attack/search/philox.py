"""Philox4x32-10: random words as a pure function of a counter and a key, the same on every backend.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Integers only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # Weyl constants: the golden ratio, sqrt(3) - 1
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)

Words = NDArray[np.uint64] | int


def philox4x32(counter: Sequence[Words], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """The four random words of each counter.

    Args:
        counter: four words (c0, c1, c2, c3), each an integer or a uint64 array, below 2^32, that broadcast
            together to a shape S.
        key: two integers below 2^32.

    Returns:
        Four uint64 arrays of shape S whose values are below 2^32.
    """
    shape = np.broadcast_shapes(*(np.shape(word) for word in counter))
    c0, c1, c2, c3 = (np.broadcast_to(np.asarray(word, np.uint64), shape) for word in counter)
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = (second >> _32) ^ c1 ^ np.uint64(k0), (first >> _32) ^ c3 ^ np.uint64(k1)
        c1, c3 = second & _LOW, first & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def below(bound: int, words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """An index in 0 .. bound - 1 for each 32-bit word: the high word of word x bound (`bound` at most 2^32)."""
    return ((words * np.uint64(bound)) >> _32).astype(np.int64)

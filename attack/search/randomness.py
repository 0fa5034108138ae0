"""What each random word of a search means, exactly, so that every backend draws the same.

**Words.** Philox4x32-10: words are a pure function of a counter and a key, in integers alone. Source: Salmon, Moraes,
Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

**Key.** The first 8 bytes of SHA-256 over, little-endian and without gaps: the seed (int64), the method's name (ASCII,
zero-padded to 16 bytes), k (int32), the target class (int32, -1 when untargeted), the label (int32), and the image's
H x W x 3 bytes in row-major order. Bytes 0-3 are the key's first word, bytes 4-7 its second (each little-endian).

**Counter.** (block, candidate, generation, 0); each counter yields words 0 to 3.

**First population** (generation 0). Pixel p of a candidate owns variates 5p .. 5p + 4: row, column, red, green, blue.
Variate v is word v mod 4 of block v div 4. Row and column are indices below H and W; a color is entry (word >> 16)
of `normal_colors.npy`.

**Parents** (generation g >= 1). Words 0, 1, 2 of block 0 are the indices r1, r2, r3 below the population's size. Where
they are not mutually distinct and distinct from the candidate's own index, all three are drawn again from block 1,
then 2, and so on.

An index below n is the high word of word x n.
"""

import hashlib
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

COLOR_TABLE = Path(__file__).with_name("normal_colors.npy")

Key = tuple[int, int]

ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # Weyl constants: the golden ratio, sqrt(3) - 1
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)

Words = NDArray[np.uint64] | int


def search_key(seed: int, method: str, pixels: int, target: int | None, label: int, image: NDArray[np.uint8]) -> Key:
    """The Philox key of one image's search (the byte layout stands at the top of this file)."""
    name = method.encode("ascii")
    if len(name) > 16:
        raise ValueError(f"a method's name has at most 16 characters, got '{method}'")
    header = struct.pack("<q16siii", seed, name, pixels, -1 if target is None else target, label)
    digest = hashlib.sha256(header + image.tobytes()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def first_population(key: Key, size: int, pixels: int, height: int, width: int) -> NDArray[np.float32]:
    """Positions uniform, colors N(128, 127): float32 `(size, pixels, 5)` of row, column, red, green, blue."""
    variates = 5 * pixels
    blocks = np.arange(-(-variates // 4), dtype=np.uint64)
    candidates = np.arange(size, dtype=np.uint64)[:, None]
    words = np.stack(philox4x32((blocks, candidates, 0, 0), key), axis=-1)
    words = words.reshape(size, -1)[:, :variates].reshape(size, pixels, 5)
    population = np.empty(words.shape, np.float32)
    population[..., 0] = below(height, words[..., 0])
    population[..., 1] = below(width, words[..., 1])
    population[..., 2:] = normal_colors()[words[..., 2:] >> np.uint64(16)]
    return population


def parents(key: Key, generations: range, size: int) -> NDArray[np.int64]:
    """The indices r1, r2, r3 of each child's parents: int64 `(3, generations, size)`, distinct from one another
    and from the child's own index.
    """
    own = np.tile(np.arange(size), len(generations))
    generation = np.repeat(np.arange(generations.start, generations.stop), size).astype(np.uint64)
    drawn = _triples(key, 0, own, generation, size)
    again, block = np.flatnonzero(_clash(drawn, own)), 1
    while again.size:
        drawn[:, again] = _triples(key, block, own[again], generation[again], size)
        again, block = again[_clash(drawn[:, again], own[again])], block + 1
    return drawn.reshape(3, len(generations), size)


def _triples(
    key: Key, block: int, own: NDArray[np.int64], generation: NDArray[np.uint64], size: int
) -> NDArray[np.int64]:
    words = philox4x32((block, own.astype(np.uint64), generation, 0), key)
    return np.stack([below(size, word) for word in words[:3]])


def _clash(triples: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.bool_]:
    first, second, third = triples
    mutual = (first == second) | (first == third) | (second == third)
    clash: NDArray[np.bool_] = mutual | (triples == own).any(axis=0)
    return clash


def make_normal_colors() -> NDArray[np.uint8]:
    """The 65,536 quantiles (i + 0.5) / 65,536 of N(128, 127), rounded to the nearest integer, clipped to 0..255."""
    normal = NormalDist(128, 127)
    quantiles = [normal.inv_cdf((i + 0.5) / 65_536) for i in range(65_536)]
    return np.clip(np.rint(quantiles), 0, 255).astype(np.uint8)


@cache
def normal_colors() -> NDArray[np.uint8]:
    """The shipped table of `make_normal_colors`, uint8 `(65536,)`."""
    return np.asarray(np.load(COLOR_TABLE, allow_pickle=False), np.uint8)


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

"""Remembers what an image's candidates were given, so that none is evaluated twice.

As a population draws together, more and more of its children are drawn as candidates that it has seen before: of one
pixel most, of several next to none.
"""

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.search.protocol import Candidates


class Memory:
    """The fitness of every candidate of one search, of one pixel each; `unseen` and `recall` take turns."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)  # of all that was seen, sorted
        self._fitness = np.empty(0, np.float32)  # of each of these
        self._asked = self._keys  # distinct keys of the candidates asked for last, sorted
        self._number = self._keys  # of each candidate asked for last: which of these it has
        self._place = self._keys  # of each of these: where it stands among all keys, or would
        self._known = np.empty(0, np.bool_)  # of each of these: whether it stands there

    def unseen(self, candidates: Candidates) -> NDArray[np.int64]:
        """Ranks, ascending, of the candidates not seen before, each once: where it comes first."""
        self._asked, first, self._number = np.unique(_keys(candidates), return_index=True, return_inverse=True)
        self._place = np.searchsorted(self._keys, self._asked)
        self._known = np.zeros(len(self._asked), bool)
        within = self._place < len(self._keys)
        self._known[within] = self._keys[self._place[within]] == self._asked[within]
        return np.sort(first[~self._known])

    def recall(self, unseen: NDArray[np.int64], fitness: NDArray[np.float32]) -> NDArray[np.float32]:
        """The fitness of all candidates asked for last, float32 `(m,)`; those at `unseen` were given `fitness`."""
        of_asked = np.empty(len(self._asked), np.float32)
        of_asked[self._number[unseen]] = fitness
        of_asked[self._known] = self._fitness[self._place[self._known]]
        new = ~self._known
        self._keys = np.insert(self._keys, self._place[new], self._asked[new])
        self._fitness = np.insert(self._fitness, self._place[new], of_asked[new])
        return of_asked[self._number]


def _keys(candidates: Candidates) -> NDArray[np.int64]:
    """Position and color of each candidate's pixel in one number."""
    red, green, blue = candidates.colors[:, 0].astype(np.int64).T
    keys: NDArray[np.int64] = candidates.positions[:, 0] << 24 | red << 16 | green << 8 | blue
    return keys

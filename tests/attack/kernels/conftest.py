"""The kernels compiled for the CPU, and a stand-in for the driver that launches them over NumPy arrays."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack.kernels.sources import CHUNK
from pixelproof.attack.search.randomness import normal_colors

GUARD = 1024
"""Bytes around every array, which no kernel may touch. They spell a lane that runs and has no winner, so that a thread
too many does its harm instead of leaving unseen."""


class Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("lanes", "size", "pixels", "height", "width")]


@dataclass
class Kernels:
    """A library of kernels, called as a driver calls them: a grid, a block, a pointer to each argument."""

    library: ctypes.CDLL
    block: int = 128
    backwards: bool = False
    """Threads run from the last to the first: what depends on their order comes out differently."""

    def launch(self, name: str, threads: int, *arguments: Any) -> None:
        cells = [_cell(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
        grid = -(-threads // self.block)
        getattr(self.library, f"launch_{name}")(grid, self.block, int(self.backwards), pointers)


def _cell(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    return argument if isinstance(argument, ctypes.Structure) else ctypes.c_int(argument)


class Table:
    """Several images' populations, one lane an image, as `table.cuh` lays them out, and the batch they are drawn on.

    Args:
        kernels: those to launch.
        images: uint8 `(n, H, W, 3)`.
        image_of: `(lanes,)`, the image of each lane.
        class_of: `(lanes,)`, labels or targets.
        keys: `(lanes, 2)`.
        last: the last generation.
    """

    def __init__(
        self,
        kernels: Kernels,
        images: NDArray[np.uint8],
        image_of: Any,
        class_of: Any,
        keys: Any,
        *,
        size: int,
        pixels: int,
        rows: int,
        factor: float = 0.5,
        last: int = 100,
        targeted: bool = False,
    ) -> None:
        lanes, (_, height, width, _) = len(image_of), images.shape
        self.kernels, self.sizes = kernels, Sizes(lanes, size, pixels, height, width)
        self.factor, self.last, self.targeted, self.rows = factor, last, int(targeted), rows
        self._guarded: list[NDArray[np.uint8]] = []
        self.images, self.colors = self._array(images, np.uint8), self._array(normal_colors(), np.uint8)
        self.image_of, self.class_of = self._array(image_of, np.int32), self._array(class_of, np.int32)
        self.keys = self._array(keys, np.uint32)
        self.members = self._array(np.full((lanes, size, pixels, 5), np.nan), np.float32)
        self.children = self._array(np.full((lanes, size, pixels, 5), np.nan), np.float32)
        self.fitness = self._array(np.full((lanes, size), np.nan), np.float32)
        self.children_fitness = self._array(np.full((lanes, size), np.nan), np.float32)
        self.won = self._array(np.full((lanes, size), 9), np.uint8)
        self.generations = self._array([0] * lanes, np.int32)
        self.winners = self._array([size] * lanes, np.int32, guard=0x7F)
        self.batch = self._array(np.full((rows, height, width, 3), 77), np.uint8)
        self.held, self.drawn = self._array([-1] * rows, np.int32), self._array(np.zeros((rows, pixels)), np.int32)

    def _array(self, values: Any, dtype: Any, guard: int | None = None) -> NDArray[Any]:
        """A copy between two guards; those of arrays that a kernel copies from one to the other differ."""
        values = np.asarray(values)
        if guard is None:
            guard = 0 if dtype == np.int32 else 0xA0 + len(self._guarded)
        whole = np.full(values.size * np.dtype(dtype).itemsize + 2 * GUARD, guard, np.uint8)
        self._guarded.append(whole)
        array = whole[GUARD:-GUARD].view(dtype).reshape(values.shape)
        array[...] = values
        return array

    def check_guards(self) -> None:
        """No kernel has written beside an array."""
        for whole in self._guarded:
            before, after = whole[:GUARD], whole[-GUARD:]
            assert (before == before[0]).all()
            assert (after == before[0]).all()

    @property
    def places(self) -> int:
        return self.sizes.lanes * self.sizes.size

    def spans(self) -> list[NDArray[np.int32]]:
        """What the rows show, batch after batch: all candidates in their order, -1 where none are left."""
        padded = np.full(-(-self.places // self.rows) * self.rows, -1, np.int32)
        padded[: self.places] = np.arange(self.places)
        return list(padded.reshape(-1, self.rows))

    def propose(self) -> None:
        arguments = self.children, self.members, self.generations, self.keys, self.colors, self.factor, self.sizes
        self.kernels.launch("propose_candidates", self.places * self.sizes.pixels, *arguments)

    def draw(self, shown: NDArray[np.int32]) -> None:
        pieces = -(-3 * self.sizes.height * self.sizes.width // CHUNK)
        place = self.batch, self.images, self.image_of, self.held, shown, self.generations, self.rows, self.sizes
        self.kernels.launch("place_images", self.rows * pieces, *place)
        state = self.batch, self.held, self.drawn, self.images, self.image_of, self.children, shown, self.generations
        self.kernels.launch("draw_candidates", self.rows, *state, self.rows, self.sizes)

    def judge(self, shown: NDArray[np.int32], probabilities: NDArray[np.float32]) -> None:
        assert probabilities.dtype == np.float32
        judged = self.children_fitness, self.won, self.winners, np.ascontiguousarray(probabilities), shown
        how = self.targeted, probabilities.shape[1], self.rows
        self.kernels.launch("judge_rows", self.rows, *judged, self.generations, self.class_of, *how, self.sizes)

    def select(self) -> None:
        arguments = self.members, self.fitness, self.children, self.children_fitness, self.generations, self.winners
        self.kernels.launch("select_children", self.places, *arguments, self.sizes)

    def advance(self) -> None:
        self.kernels.launch("advance_lanes", self.sizes.lanes, self.generations, self.winners, self.last, self.sizes)


@pytest.fixture
def make_kernels(library: ctypes.CDLL) -> Callable[..., Kernels]:
    """`make_kernels(block=128, backwards=False)`."""
    return lambda block=128, backwards=False: Kernels(library, block, backwards)


@pytest.fixture
def make_table() -> Callable[..., Table]:
    """`make_table(kernels, images, image_of, class_of, keys, size=, pixels=, rows=, ...)`."""
    return Table


@pytest.fixture
def random_table() -> Callable[..., Table]:
    """`random_table(kernels, rng, **fixed)`: lanes, image sizes, populations and keys at random."""

    def make(kernels: Kernels, rng: np.random.Generator, **fixed: Any) -> Table:
        lanes, height, width = fixed.pop("lanes", 8), *(int(edge) for edge in rng.integers(1, 12, 2))
        images = rng.integers(0, 256, (3, height, width, 3), dtype=np.uint8)
        sizes = {"size": int(rng.integers(4, 41)), "pixels": int(rng.choice([1, 3, 5]))}
        settings = sizes | {"rows": int(rng.integers(1, 50))} | fixed
        keys = rng.integers(0, 1 << 32, (lanes, 2), dtype=np.uint32)
        return Table(kernels, images, rng.integers(0, 3, lanes), rng.integers(0, 4, lanes), keys, **settings)

    return make


@pytest.fixture
def same_bits() -> Callable[[NDArray[Any], NDArray[Any]], None]:
    """`same_bits(first, second)`: dtype, shape and every byte are the same, so that -0.0 is not 0.0."""

    def check(first: NDArray[Any], second: NDArray[Any]) -> None:
        assert (first.dtype, first.shape) == (second.dtype, second.shape)
        different = first.view(np.uint8) != second.view(np.uint8)
        assert not different.any(), f"{different.sum()} bytes differ, the first at {np.argwhere(different)[0]}"

    return check

"""Which children are new, the rows that show them, and what the others are given, against attack/memory.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from pixelproof.attack.kernels.sources import SHARE
from pixelproof.attack.methods.differential_evolution import drawn
from pixelproof.attack.search.scheduler import FitnessCache

FREE, NEVER = 2**64 - 1, 2**31 - 1


def remembering(table, *, slots, rows):
    """The arrays of remember.cu beside a table's, guarded as its own are."""
    lanes, size = table.sizes.lanes, table.sizes.size
    shows = -(-table.places // rows) * rows
    array = table._array
    return SimpleNamespace(
        slots=slots,
        shows=shows,
        seen=array(np.full((lanes, slots), 12345, np.uint64), np.uint64),
        first=array(np.full((lanes, slots), 3), np.int32),
        known=array(np.full((lanes, slots), np.nan), np.float32),
        slot_of=array(np.full((lanes, size), 9), np.int32),
        is_new=array(np.full((lanes, size), 9), np.uint8),
        new_of=array(np.full(lanes, 77), np.int32),
        new_in=array(np.full(-(-table.places // SHARE), 77), np.int32),
        shown=array(np.full(shows, 99), np.int32),
    )


def forget(table, memory):
    arguments = memory.seen, memory.first, table.generations, memory.slots, table.sizes
    table.kernels.launch("forget_candidates", table.sizes.lanes * memory.slots, *arguments)


def find(table, memory):
    counts = memory.new_of, memory.new_in
    found = memory.seen, memory.first, memory.slot_of, *counts, table.children, table.generations
    table.kernels.launch("find_candidates", table.places, *found, memory.slots, table.sizes)
    marked = memory.is_new, *counts, memory.shown, memory.first, memory.slot_of, table.generations
    threads = max(table.places, memory.shows)
    table.kernels.launch("mark_new", threads, *marked, memory.slots, memory.shows, table.sizes)
    table.kernels.launch("assign_rows", table.places, memory.shown, memory.is_new, memory.new_in, table.sizes)


def share(table, memory):
    shared = memory.known, memory.first, memory.slot_of, memory.is_new, table.generations
    arguments = (table.children_fitness, table.won, *shared, memory.slots, table.sizes)
    table.kernels.launch("share_fitness", table.places, *arguments)


def propose(table, rng):
    """Children of which many are drawn alike, within a generation and over several; some beside the image."""
    lanes, size, _, _ = table.children.shape
    table.children[:] = rng.choice([-3.0, 0.2, 0.9, 1.5, 400, np.nan], (lanes, size, 1, 5)).astype(np.float32)
    table.children[..., 2:4] = 7


@pytest.mark.parametrize("block", [1, 33, 128, 1024])
@pytest.mark.parametrize("backwards", [False, True])
def test_shows_and_shares_as_the_memory_does(make_kernels, random_table, same_bits, block, backwards):
    rng, judged = np.random.default_rng(block), 0
    for _ in range(6):
        table = random_table(make_kernels(block, backwards=backwards), rng, pixels=1)
        size, lanes = table.sizes.size, table.sizes.lanes  # 8 lanes of up to 40: in some, more than one share
        memory = remembering(table, slots=1024, rows=table.rows)
        references = [FitnessCache() for _ in range(lanes)]
        table.generations[:] = 0
        for generation in range(5):
            if generation == 3:  # two lanes take other images, and one has stopped
                table.generations[:2], table.generations[-1] = 0, ~2
                references[:2] = FitnessCache(), FitnessCache()
            if (table.generations == 0).any():
                forget(table, memory)
            propose(table, rng)
            find(table, memory)
            running = table.generations >= 0
            unseen = [
                references[lane].unseen(drawn(table.children[lane], table.sizes.height, table.sizes.width))
                if running[lane]
                else np.empty(0, np.int64)
                for lane in range(lanes)
            ]
            expected = np.concatenate([lane * size + ranks for lane, ranks in enumerate(unseen)])
            assert memory.new_of.tolist() == [len(ranks) for ranks in unseen]
            assert memory.shown[: len(expected)].tolist() == expected.tolist()
            assert (memory.shown[len(expected) :] == -1).all()
            judged += len(expected)
            table.children_fitness[running] = np.nan
            fitness = rng.random(len(expected)).astype(np.float32)
            table.children_fitness.reshape(-1)[expected] = fitness
            table.won[:] = 1
            share(table, memory)
            for lane in np.flatnonzero(running).tolist():
                recalled = references[lane].recall(unseen[lane], fitness[expected // size == lane])
                same_bits(table.children_fitness[lane], recalled)
                assert np.flatnonzero(table.won[lane]).tolist() == unseen[lane].tolist()
            table.generations[running] += 1
        table.check_guards()
    assert judged > 100


def test_a_second_judgment_is_what_is_remembered(make_kernels, random_table):
    """A second look judges one child anew; those drawn alike, now and later, are given that."""
    table = random_table(make_kernels(), np.random.default_rng(0), pixels=1, lanes=1, size=4)
    memory = remembering(table, slots=64, rows=4)
    table.generations[:] = 0
    forget(table, memory)
    table.children[:] = 1
    for fitness in (0.5, 0.75):
        find(table, memory)
        assert memory.shown.tolist() == [0, -1, -1, -1]
        table.children_fitness[:] = [[fitness, 9, 9, 9]]
        share(table, memory)
        assert (table.children_fitness == np.float32(fitness)).all()
    table.generations[:] = 1
    find(table, memory)
    assert memory.new_of.tolist() == [0]
    table.children_fitness[:] = 9
    share(table, memory)
    assert (table.children_fitness == np.float32(0.75)).all()


def test_without_slots_every_child_is_new(make_kernels, random_table):
    table = random_table(make_kernels(), np.random.default_rng(1), pixels=3, lanes=3, size=6, rows=5)
    memory = remembering(table, slots=0, rows=5)
    table.generations[:] = [4, ~1, 0]
    table.children[:], table.children_fitness[:], table.won[:] = 1, 0.25, 1
    find(table, memory)
    assert memory.new_of.tolist() == [6, 0, 6]
    assert memory.shown.tolist() == [*range(6), *range(12, 18), *[-1] * 8]
    share(table, memory)
    assert (table.children_fitness == 0.25).all()
    assert table.won.all()
    table.check_guards()


def test_what_finds_no_slot_is_new_and_nothing_waits_for_one(make_kernels, random_table):
    table = random_table(make_kernels(), np.random.default_rng(2), pixels=1, lanes=2, size=8, rows=16)
    memory = remembering(table, slots=4, rows=16)
    table.generations[:] = 0
    forget(table, memory)
    table.children[:] = 0
    table.children[..., 0, 4] = np.arange(8)
    table.children[:, 7] = table.children[:, 6]
    find(table, memory)
    assert (memory.slot_of >= 0).sum(axis=1).tolist() == [4, 4]
    assert memory.new_of.tolist() == [8, 8]  # the last two alike, and neither remembered
    table.children_fitness[:] = np.arange(8)
    share(table, memory)
    assert table.children_fitness.tolist() == [[*range(8)]] * 2
    table.check_guards()

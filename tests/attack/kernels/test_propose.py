"""Every number of every candidate, bit for bit, over more than ten thousand populations."""

import numpy as np
import pytest

from pixelproof.attack.search.randomness import first_population, parents

BLOCKS = [1, 32, 33, 128, 256, 1024]
TABLES, LANES = 40, 48  # with six block sizes: 11,520 first populations, and as many later ones


def keys_of(table):
    return [tuple(key) for key in table.keys.tolist()]


def first_populations(table):
    sizes = table.sizes
    shape = sizes.size, sizes.pixels, sizes.height, sizes.width
    return np.stack([first_population(key, *shape) for key in keys_of(table)])


def children_of(table):
    """What de.py makes of each lane's members in its generation."""
    children = []
    for key, generation, members in zip(keys_of(table), table.generations.tolist(), table.members, strict=True):
        first, second, third = members[parents(key, range(generation, generation + 1), table.sizes.size)[:, 0]]
        children.append(first + np.float32(table.factor) * (second - third))
    return np.stack(children)


@pytest.mark.parametrize("block", BLOCKS)
def test_populations_are_the_references(make_kernels, random_table, same_bits, block):
    rng = np.random.default_rng(block)
    for number in range(TABLES):
        kernels = make_kernels(block, backwards=bool(number % 2))
        table = random_table(kernels, rng, lanes=LANES, factor=float(rng.choice([0.5, 0.3, 1.25, 2.0])))
        table.propose()
        same_bits(table.children, first_populations(table))
        table.members[:] = rng.normal(0, 300, table.members.shape)  # fractions, so that each rounding tells
        table.generations[:] = rng.integers(1, rng.choice([9, 1 << 20]), LANES)
        table.propose()
        same_bits(table.children, children_of(table))
        table.check_guards()


def test_four_candidates_are_redrawn_until_all_differ(make_kernels, random_table, same_bits):
    table = random_table(make_kernels(), np.random.default_rng(0), size=4, lanes=LANES)
    table.members[:] = np.random.default_rng(1).normal(0, 300, table.members.shape)
    for generation in range(1, 9):  # one draw in eleven is free of clashes: some take dozens of blocks
        table.generations[:] = generation
        table.propose()
        same_bits(table.children, children_of(table))


@pytest.mark.parametrize("size", [400, 1001])
def test_populations_of_the_published_size_and_above(make_kernels, random_table, same_bits, size):
    table = random_table(make_kernels(256), np.random.default_rng(size), size=size, lanes=3)
    table.propose()
    same_bits(table.children, first_populations(table))
    table.members[:] = table.children
    table.generations[:] = [1, 50, 100]
    table.propose()
    same_bits(table.children, children_of(table))


def test_lanes_that_stopped_are_left_alone_and_others_are_where_they_are(make_kernels, random_table, same_bits):
    table = random_table(make_kernels(33), np.random.default_rng(3), lanes=4)
    table.propose()
    table.members[:] = table.children
    before = table.children.copy()
    table.generations[:] = [~0, 5, ~7, 0]
    table.propose()
    same_bits(table.children[[0, 2]], before[[0, 2]])
    same_bits(table.children[3], before[3])  # generation 0 draws the first population again
    table.generations[:] = 5
    same_bits(table.children[1], children_of(table)[1])

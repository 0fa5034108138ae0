"""Fitness, success, the lowest winner and who lives on, against criteria.py and de.py."""

import numpy as np
import pytest

from pixelproof.attack.search.protocol import Criterion

BLOCKS = [1, 32, 33, 128, 256, 1024]
CLASSES = 5


def tied_probabilities(rng, rows):
    """Few levels, so that rows tie within themselves and with one another; exact zeros among them."""
    return (rng.integers(0, 4, (rows, CLASSES)) / np.float32(7)).astype(np.float32)


def judge_all(table, probabilities):
    for shown in table.spans():
        given = np.zeros((table.rows, CLASSES), np.float32)
        given[shown >= 0] = probabilities[shown[shown >= 0]]
        table.judge(shown, given)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("block", BLOCKS)
def test_judges_as_the_criteria_do(make_kernels, random_table, same_bits, block, targeted):
    rng, criterion = np.random.default_rng(block), Criterion(targeted=targeted)
    for number in range(12):
        table = random_table(make_kernels(block, backwards=bool(number % 2)), rng, targeted=targeted)
        size = table.sizes.size
        probabilities = tied_probabilities(rng, table.places)
        if number % 3 == 0:  # mostly failures, so that lanes without a winner and late winners occur
            sure = np.where(targeted, 0, 1).astype(np.float32)
            rows = rng.random(table.places) < 0.97
            probabilities[rows, np.repeat(table.class_of, size)[rows]] = sure
        judge_all(table, probabilities)
        classes = np.repeat(table.class_of, size).astype(np.int64)
        same_bits(table.children_fitness.reshape(-1), criterion.fitness(probabilities, classes))
        won = criterion.succeeded(probabilities, classes)
        assert np.array_equal(table.won.reshape(-1), won)
        lanes = won.reshape(-1, size)
        assert np.array_equal(table.winners, np.where(lanes.any(axis=1), lanes.argmax(axis=1), size))
        table.check_guards()


@pytest.mark.parametrize("block", BLOCKS)
def test_children_that_are_no_worse_replace_their_parents(make_kernels, random_table, same_bits, block):
    rng = np.random.default_rng(block)
    for number in range(12):
        table = random_table(make_kernels(block, backwards=bool(number % 2)), rng)
        shape = table.fitness.shape
        for numbers in (table.members, table.children):
            numbers[:] = rng.normal(0, 300, numbers.shape)
        for fitness in (table.fitness, table.children_fitness):  # -0.0 and 0.0 tie, too
            fitness[:] = rng.choice(np.array([-0.5, -0.0, 0.0, 0.25, 1], np.float32), shape)
        table.generations[:] = rng.integers(1, 9, shape[0])
        members, fitness = table.members.copy(), table.fitness.copy()
        better = table.children_fitness <= fitness
        members[better], fitness[better] = table.children[better], table.children_fitness[better]
        table.select()
        same_bits(table.members, members)
        same_bits(table.fitness, fitness)
        table.check_guards()


def test_the_first_population_is_taken_whatever_lay_there(make_kernels, random_table, same_bits):
    table = random_table(make_kernels(), np.random.default_rng(0))
    table.propose()
    table.children_fitness[:] = 0.5  # fitness is NaN still: no child would be no worse
    table.select()
    same_bits(table.members, table.children)
    same_bits(table.fitness, table.children_fitness)


def test_lanes_with_a_winner_and_lanes_that_stopped_keep_their_members(make_kernels, random_table, same_bits):
    table = random_table(make_kernels(), np.random.default_rng(0), lanes=3)
    table.members[:], table.children[:] = 1, 2
    table.fitness[:], table.children_fitness[:] = 0.5, 0.25
    table.generations[:], table.winners[1] = [4, 4, ~4], 3
    table.select()
    assert [float(lane.min()) for lane in table.members] == [float(lane.max()) for lane in table.members] == [2, 1, 1]
    assert [float(lane.max()) for lane in table.fitness] == [0.25, 0.5, 0.5]


def test_idle_rows_and_lanes_that_stopped_are_not_judged(make_kernels, random_table):
    table = random_table(make_kernels(), np.random.default_rng(0), lanes=2, size=4, rows=8)
    table.generations[1] = ~2
    (shown,) = table.spans()
    shown[1] = -1
    table.judge(shown, tied_probabilities(np.random.default_rng(0), 8))
    assert (table.won == 9).tolist() == [[False, True, False, False], [True] * 4]
    assert np.isnan(table.children_fitness).tolist() == [[False, True, False, False], [True] * 4]
    assert table.winners[1] == 4


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("column", range(CLASSES))
def test_a_nan_is_told_by_a_winner_below_every_candidate(make_kernels, random_table, targeted, column):
    table = random_table(make_kernels(), np.random.default_rng(0), lanes=2, size=6, rows=12, targeted=targeted)
    probabilities = tied_probabilities(np.random.default_rng(1), 12)
    probabilities[9, column] = np.nan
    judge_all(table, probabilities)
    assert table.winners[0] >= 0
    assert table.winners[1] == -1
    table.advance()
    assert table.generations[1] == ~0


@pytest.mark.parametrize("block", BLOCKS)
def test_lanes_advance_until_they_win_or_reach_the_last_generation(make_kernels, random_table, block):
    table = random_table(make_kernels(block), np.random.default_rng(0), lanes=6, size=9, last=7)
    table.generations[:] = [0, 6, 7, 3, 0, ~4]
    table.winners[:] = [9, 9, 9, 8, 0, 9]
    table.advance()
    assert table.generations.tolist() == [1, 7, ~7, ~3, ~0, ~4]
    table.check_guards()

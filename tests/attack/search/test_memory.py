"""A memory against a dictionary, and what it spares an evolution."""

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.search.protocol import Candidates
from pixelproof.attack.search.scheduler import FitnessCache
from pixelproof.models.data import sample


def keys_of(candidates):
    return [
        (int(position), *color.tolist())
        for position, color in zip(candidates.positions[:, 0], candidates.colors[:, 0], strict=True)
    ]


@pytest.mark.parametrize(("places", "levels"), [(1, 2), (3, 5), (1024, 256)])
def test_each_candidate_is_asked_for_once_and_recalled_ever_after(places, levels):
    draw, memory, known = np.random.default_rng(places), FitnessCache(), {}
    for _ in range(30):
        colors = draw.integers(0, levels, (40, 1, 3)) * (255 // (levels - 1))  # up to both ends
        candidates = Candidates(draw.integers(0, places, (40, 1)), colors.astype(np.uint8))
        keys = keys_of(candidates)
        unseen = memory.unseen(candidates)
        assert unseen.tolist() == [rank for rank, key in enumerate(keys) if key not in known and key not in keys[:rank]]
        fitness = draw.random(len(unseen), np.float32)
        known.update(zip([keys[rank] for rank in unseen], fitness.tolist(), strict=True))
        assert memory.recall(unseen, fitness).tolist() == [known[key] for key in keys]


def test_an_evolution_that_has_drawn_together_is_evaluated_for_a_fraction_of_its_candidates(make_network):
    data, network = sample(), make_network()
    settings = {"population": 40, "generations": 100}
    found = attack(network, data.images[:24], data.labels[:24], method="de", batch_size=128, **settings)
    withstood = found.attacked & ~found.success
    assert withstood.sum() > 5
    assert (found.queries[withstood] == 40 * 101).all()
    assert found.evaluated[withstood].sum() < 0.8 * found.queries[withstood].sum()

"""The example of a search of one's own: it runs by the rules of those that come with pixelproof."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


@pytest.fixture(scope="module")
def example(load_example) -> ModuleType:
    module: ModuleType = load_example("own_search")
    return module


def test_it_stands_beside_the_others(example, lenet_median_bundle: Path):
    rows = {name: (fell, queries) for name, fell, queries in example.compare(lenet_median_bundle, 10)}
    assert list(rows) == ["random", "corners", "de"]
    assert all(0 < fell <= 10 and 0 < queries <= 40_400 for fell, queries in rows.values())


def test_what_it_finds_is_its_own_and_fools_the_network(example, lenet_median_bundle: Path):
    images = sample().take(range(12))
    with Pipeline(lenet_median_bundle, part="classifier") as classifier:
        known = images.images, images.labels
        given = {"method": example.RandomSearch(budget=1000, at_once=300), "seed": 4}
        found = attack(classifier.predict, *known, **given)
        again = attack(classifier.predict, *known, **given, batch_size=64)
        seen = classifier(found.images).labels
    assert 0 < found.success.sum() < 12
    assert np.array_equal(found.success, again.success)
    assert np.array_equal(found.queries, again.queries)
    assert (seen[found.success] != images.labels[found.success]).all()
    withstood = ~found.success & (found.queries > 0)
    assert set(found.queries[withstood].tolist()) == {1000}
    assert not found.exhausted.any()

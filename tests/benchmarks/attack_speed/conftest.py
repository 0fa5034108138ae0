"""The shipped LeNet under attack on real images, in budgets of a few generations."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import DataChoice
from pixelproof.benchmarks.attack_speed_contenders import Target
from pixelproof.benchmarks.attack_speed_peers import Budget
from pixelproof.models.data import sample


@pytest.fixture(scope="session")
def budget() -> Budget:
    return Budget(generations=2, population=50)


@pytest.fixture(scope="session")
def lenet(lenet_median_bundle: Path) -> Iterator[Target]:
    target = Target(lenet_median_bundle, threads=1)
    yield target
    target.close()


@pytest.fixture(scope="session")
def some() -> DataChoice:
    """Four shipped test images that LeNet gets right; the first withstands all corners, the others fall soon."""
    return DataChoice(sample().take(np.array([0, 1, 3, 8])), "four shipped test images")

"""int8 discards no candidate that changes LeNet's label; ResNet-32's two thousand are a benchmark."""

from pathlib import Path

import pytest

from pixelproof.benchmarks.screening import open_screen, prove
from pixelproof.errors import UsageError


def test_no_success_is_lost(lenet_median_bundle: Path):
    found = prove(lenet_median_bundle, successes=200, threads=1)
    assert found["successes"] >= 200
    assert found["lost"] == 0
    assert found["largest_lead_at_a_success"] < found["margin"] / 2
    assert found["candidates"] == 8192 * found["images"]
    assert 0.2 < found["discarded"] < 1


def test_a_margin_of_nothing_would_lose_some(lenet_median_bundle: Path):
    found = prove(lenet_median_bundle, successes=200, margin=1e-6, threads=1)
    assert found["lost"] > 0


def test_own_classifiers_have_no_screen(tmp_path: Path):
    with pytest.raises(UsageError, match="'mine' is not shipped"):
        open_screen("mine", tmp_path / "int8")

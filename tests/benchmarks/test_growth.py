"""More images cost each no more; 7,500 are a benchmark."""

from pathlib import Path

import pytest

from pixelproof.benchmarks.growth import grow


def test_each_number_is_attacked_anew(lenet_median_bundle: Path):
    few, more = grow(lenet_median_bundle, sizes=(3, 6))["rows"]
    assert (few["images"], more["images"]) == (3, 6)
    for row in (few, more):
        assert 0 <= row["success"] <= 1
        assert 1 <= row["queries_per_image"] <= 8192
        assert row["seconds_per_image"] > 0
        assert row["queries_per_s"] * row["seconds_per_image"] == pytest.approx(row["queries_per_image"])
        assert 30 < row["peak_mib"] < 2000

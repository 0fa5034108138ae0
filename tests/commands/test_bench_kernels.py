"""`pixelproof bench kernels` as it is typed, where there is no GPU."""

from pathlib import Path


def test_what_is_missing_is_told(refused, lenet_median_bundle: Path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "attacking with CUDA kernels needs PyCUDA" in refused(1, "bench", "kernels", lenet_median_bundle)


def test_bad_requests_are_one_line(refused):
    assert "there is no bundle 'none'" in refused(1, "bench", "kernels", "none")

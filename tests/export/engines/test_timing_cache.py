"""What was measured is kept with its hash, for one TensorRT on one GPU; damage and refusal begin anew."""

from pathlib import Path

import pytest

from pixelproof.export.engines.timing_cache import Timings, timings_path
from pixelproof.runtime.engines import Machine

MACHINE = Machine("tensorrt", "10.16.1", "9.0", "NVIDIA H200", "13.0")


class Cache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content


class Config:
    """A builder configuration that refuses what is not `accepted`."""

    accepted: tuple[bytes, ...] = (b"", b"measured")

    def create_timing_cache(self, content: bytes) -> Cache:
        return Cache(content)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache.content in self.accepted:
            self.cache = cache
        return cache.content in self.accepted

    def get_timing_cache(self) -> Cache:
        return self.cache


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def build(config: Config, adds: bytes = b"measured") -> bytes:
    """What the build began with."""
    timings = Timings(config, MACHINE)
    known = config.cache.content
    config.cache.content = adds
    timings.save()
    return known


def test_the_second_build_begins_with_what_the_first_measured(cache_folder: Path):
    assert build(Config()) == b""
    assert build(Config()) == b"measured"
    path = timings_path(MACHINE)
    assert path == cache_folder / "pixelproof" / "timings" / "tensorrt-10.16.1-NVIDIA-H200.cache"


def test_damage_begins_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Config, "accepted", (*Config.accepted, b"measure"))  # TensorRT may well not see it
    build(Config())
    path = timings_path(MACHINE)
    path.write_bytes(path.read_bytes()[:-1])
    assert build(Config()) == b""
    assert build(Config()) == b"measured"


def test_what_tensorrt_refuses_begins_anew():
    build(Config(), adds=b"of another driver")
    assert build(Config()) == b""
    assert build(Config()) == b"measured"


def test_a_cache_that_cannot_be_written_costs_time_alone(cache_folder: Path, caplog: pytest.LogCaptureFixture):
    (cache_folder / "pixelproof").write_text("a file where the folder would be")
    assert build(Config()) == b""
    assert build(Config()) == b""
    assert "cannot keep" in caplog.text


def test_without_a_gpu_nothing_is_measured(cache_folder: Path):
    Timings(object(), None).save()
    assert list(cache_folder.iterdir()) == []

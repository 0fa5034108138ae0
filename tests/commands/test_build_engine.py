"""`pixelproof build-engine` as it is typed."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from pixelproof.runtime import read_bundle


@pytest.fixture
def bundle(lenet_median_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(lenet_median_bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_it_builds_and_says_that_nothing_has_run(bundle: Path, run_cli):
    code, out, _ = run_cli("build-engine", bundle, "--flavor", "tensorrt-rtx", "--profile", "1,2,4")
    assert code == 0
    assert "pipeline.tensorrt-rtx.portable.engine: " in out
    assert "MiB, fp32, profile 1,2,4" in out
    assert "it has not been run" in out
    assert "takes the place" not in out
    assert out.endswith(f"manifest SHA-256: {read_bundle(bundle).manifest_sha256}\n")
    code, out, _ = run_cli("build-engine", bundle, "--flavor", "tensorrt-rtx", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["profile"] == [1, 64, 1024]
    assert told["manifest_sha256"] == read_bundle(bundle).manifest_sha256
    out = run_cli("build-engine", bundle, "--flavor", "tensorrt-rtx", "--profile", "1,2,4").out
    assert "it takes the place of the one with profile 1,64,1024" in out


def test_bad_requests_are_one_line(bundle: Path, refused):
    assert "--profile takes three whole numbers, got 'big'" in refused(2, "build-engine", bundle, "--profile", "big")
    assert "there is no bundle 'none'" in refused(1, "build-engine", "none")
    assert "unknown flavor 'trt'" in refused(2, "build-engine", bundle, "--flavor", "trt")
    if importlib.util.find_spec("tensorrt") is None:
        assert "needs tensorrt, which is not installed. Next: pip install 'pixelproof[tensorrt]'" in refused(
            1, "build-engine", bundle
        )

"""Engines that fit no more are built again, as they were asked for; by TensorRT for RTX, which needs no GPU."""

import json
import shutil
from pathlib import Path

import pytest

from pixelproof.errors import UsageError
from pixelproof.export.engines import build_engine, rebuild_engines
from pixelproof.runtime import read_bundle
from pixelproof.runtime.engines import read_engine

RTX = "tensorrt-rtx"

pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx builds engines with no GPU")


@pytest.fixture
def bundle(lenet_median_bundle: Path, tmp_path: Path) -> Path:
    """With a portable engine of the pipeline, and one of the classifier for one generation."""
    shutil.copytree(lenet_median_bundle, tmp_path / "bundle")
    build_engine(tmp_path / "bundle", flavour=RTX, profile=(1, 4, 8))
    build_engine(tmp_path / "bundle", flavour=RTX, part="classifier", capability="8.9", profile=(1, 2, 3))
    return tmp_path / "bundle"


def change(path: Path, **fields: object) -> None:
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **fields}))


def test_what_fits_is_left(bundle: Path):
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert rebuild_engines(bundle) == []
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("fields", [{"version": "1.0.0.1"}, {"onnx_sha256": "0" * 64}, {"precision": "fp16"}])
def test_what_does_not_is_built_as_it_was_asked_for(bundle: Path, fields: dict[str, str]):
    path = bundle / "engines" / "classifier.tensorrt-rtx.8.9.engine"
    change(path, **fields)
    assert rebuild_engines(bundle) == [path]
    engine = read_engine(read_bundle(bundle), path.name)
    assert engine.profile == (1, 2, 3)
    assert engine.sidecar["compute_capability"] == "8.9"
    assert rebuild_engines(bundle) == []


def test_a_tampered_engine_or_sidecar_is_built_again(bundle: Path):
    path = bundle / "engines" / "pipeline.tensorrt-rtx.portable.engine"
    path.write_bytes(path.read_bytes()[:-1])
    assert rebuild_engines(bundle) == [path]
    path.with_suffix(".json").write_text("{")
    assert rebuild_engines(bundle) == [path]
    assert read_engine(read_bundle(bundle), path.name).profile == (1, 64, 1024)  # nothing told another


def test_a_bundle_without_engines_is_told(lenet_median_bundle: Path):
    with pytest.raises(UsageError, match=r"has no engines to rebuild\. Next: pixelproof build-engine"):
        rebuild_engines(lenet_median_bundle)

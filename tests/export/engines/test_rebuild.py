"""Engines that fit no more are built again, as they were asked for; by TensorRT for RTX, which needs no GPU."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorrt_stand_in import add_engine

from pixelproof.errors import BackendError, UsageError
from pixelproof.export.engines import build_engine, rebuild, rebuild_engines
from pixelproof.runtime import read_bundle
from pixelproof.runtime.distributions import Distribution
from pixelproof.runtime.engines import Machine, read_engine

RTX = "tensorrt-rtx"

pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx builds engines with no GPU")


@pytest.fixture
def bundle(lenet_median_bundle: Path, tmp_path: Path) -> Path:
    """With a portable engine of the pipeline, and one of the classifier for one generation."""
    shutil.copytree(lenet_median_bundle, tmp_path / "bundle")
    build_engine(tmp_path / "bundle", flavor=RTX, profile=(1, 4, 8))
    build_engine(tmp_path / "bundle", flavor=RTX, part="classifier", capability="8.9", profile=(1, 2, 3))
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


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_tampered_engine_is_built_again_with_its_own_profile(bundle: Path, how: str, caplog):
    damage = {"cut": lambda path: path.write_bytes(path.read_bytes()[:-1]), "gone": Path.unlink}
    path = bundle / "engines" / "pipeline.tensorrt-rtx.portable.engine"
    damage[how](path)
    assert rebuild_engines(bundle) == [path]
    assert read_engine(read_bundle(bundle), path.name).profile == (1, 4, 8)
    assert caplog.text == ""
    path.with_suffix(".json").write_text("{")
    assert rebuild_engines(bundle) == [path]
    assert read_engine(read_bundle(bundle), path.name).profile == (1, 64, 1024)
    assert f"no sidecar states the profile of '{path.name}': it is built with the usual one, 1,64,1024" in caplog.text


def test_a_bundle_without_engines_is_told(lenet_median_bundle: Path):
    with pytest.raises(UsageError, match=r"has no engines to rebuild\. Next: pixelproof build-engine"):
        rebuild_engines(lenet_median_bundle)


def test_without_a_gpu_what_needs_none_is_built_all_the_same(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    """An engine of TensorRT beside them, which finds none."""

    def open_gpu(**_: str) -> None:
        raise BackendError("there is no GPU here")

    monkeypatch.setattr("pixelproof.export.engines.build.open_gpu", open_gpu)
    opened = rebuild.open_distribution
    monkeypatch.setattr(  # TensorRT itself need not be installed
        rebuild,
        "open_distribution",
        lambda name, purpose: (
            Distribution(name, SimpleNamespace()) if name == "tensorrt" else opened(name, purpose=purpose)
        ),
    )
    add_engine(bundle, name="classifier.tensorrt.9.0.engine")
    path = bundle / "engines" / "pipeline.tensorrt-rtx.portable.engine"
    change(path, version="1.0.0.1")
    with pytest.raises(BackendError, match="there is no GPU here"):
        rebuild_engines(bundle)
    assert read_engine(read_bundle(bundle), path.name).sidecar["version"] != "1.0.0.1"


@pytest.fixture
def gpu_9_0(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """TensorRT 10.16.1 and a GPU of compute capability 9.0, as which engines are built; what was asked for."""
    asked: list[dict[str, Any]] = []

    def build(bundle: Path, *, flavor: str, part: str, profile, capability, progress) -> Path:
        name = f"{part}.{flavor}.9.0.engine"
        add_engine(bundle, name=name, profile=list(profile))
        asked.append({"part": part, "profile": profile, "capability": capability})
        return bundle / "engines" / name

    machine = Machine("tensorrt", "10.16.1", "9.0", "Stand-in GPU", "13.0")
    monkeypatch.setattr(rebuild, "machine_here", lambda flavor: machine)
    monkeypatch.setattr(
        rebuild, "open_distribution", lambda name, purpose: Distribution(name, SimpleNamespace(__version__="10.16.1"))
    )
    monkeypatch.setattr(rebuild, "build_engine", build)
    return asked


@pytest.fixture
def bare(lenet_median_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(lenet_median_bundle, tmp_path / "bare")
    return tmp_path / "bare"


def test_an_engine_for_another_gpu_stays_and_one_for_this_comes_beside_it(
    bare: Path, gpu_9_0: list[dict[str, Any]], caplog
):
    foreign = {"compute_capability": "8.0", "gpu": "Another GPU", "profile": [1, 2, 3]}
    add_engine(bare, name="pipeline.tensorrt.8.0.engine", **foreign)
    assert rebuild_engines(bare) == [bare / "engines" / "pipeline.tensorrt.9.0.engine"]
    assert gpu_9_0 == [{"part": "pipeline", "profile": (1, 2, 3), "capability": None}]
    assert sorted(read_bundle(bare).engines) == ["pipeline.tensorrt.8.0.engine", "pipeline.tensorrt.9.0.engine"]
    assert rebuild_engines(bare) == []
    assert caplog.text == ""
    (bare / "engines" / "pipeline.tensorrt.8.0.engine").write_bytes(b"cut")
    assert rebuild_engines(bare) == []
    assert "'pipeline.tensorrt.8.0.engine' is damaged, and for another GPU. Next: on that, pixelproof" in caplog.text


@pytest.mark.parametrize("other", ["8.0", "12.0"])  # read before this GPU's, and after it
def test_this_gpus_own_engine_is_not_built_like_anothers(bare: Path, gpu_9_0: list[dict[str, Any]], other: str):
    foreign = {"compute_capability": other, "gpu": "Another GPU", "profile": [1, 2, 3]}
    add_engine(bare, name=f"pipeline.tensorrt.{other}.engine", **foreign)
    add_engine(bare, name="pipeline.tensorrt.9.0.engine", profile=[4, 5, 6])
    assert rebuild_engines(bare) == []
    change(bare / "engines" / "pipeline.tensorrt.9.0.engine", version="10.1.0")
    rebuild_engines(bare)
    assert gpu_9_0 == [{"part": "pipeline", "profile": (4, 5, 6), "capability": None}]
    assert rebuild_engines(bare) == []

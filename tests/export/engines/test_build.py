"""Engines that are really built, by TensorRT for RTX, which needs no GPU for it."""

import hashlib
import json
import shutil
import signal
from pathlib import Path

import pytest

from pixelproof.errors import ExportError, Interrupted, UsageError
from pixelproof.export import export_bundle
from pixelproof.export.engines import build, build_engine
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline, read_bundle

RTX = "tensorrt-rtx"

pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx builds engines with no GPU")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """LeNet behind the gated purifier in each precision."""
    folder = tmp_path_factory.mktemp("exported")
    for precision in ("fp32", "fp16", "int8"):
        target = "tensorrt" if precision == "int8" else "cpu"
        export_bundle("lenet", folder / precision, precision=precision, target=target, max_accuracy_drop=1.5)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def bundle(exported: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the float32 one."""
    shutil.copytree(exported["fp32"], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_is_what_its_bundle_is_named(exported: dict[str, Path], tmp_path: Path, precision: str):
    shutil.copytree(exported[precision], tmp_path / "bundle")
    path = build_engine(tmp_path / "bundle", flavor=RTX, profile=(1, 8, 32))
    assert path.name == "pipeline.tensorrt-rtx.portable.engine"
    sidecar = json.loads(path.with_suffix(".json").read_text())
    shares = {"fp16": float(precision == "fp16"), "int8": float(precision == "int8")}
    assert sidecar["lower_precision_shares"] == shares
    assert (sidecar["precision"], sidecar["profile"]) == (precision, [1, 8, 32])
    assert sidecar["engine_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    graph = tmp_path / "bundle" / "pipeline.onnx"
    assert sidecar["onnx_sha256"] == hashlib.sha256(graph.read_bytes()).hexdigest()


def test_the_bundle_lists_its_engines_and_still_runs(bundle: Path):
    build_engine(bundle, flavor=RTX)
    build_engine(bundle, flavor=RTX, part="classifier", capability="8.9")
    engines = read_bundle(bundle).manifest["engines"]
    assert list(engines) == ["classifier.tensorrt-rtx.8.9.engine", "pipeline.tensorrt-rtx.portable.engine"]
    for name, digest in engines.items():
        assert hashlib.sha256((bundle / "engines" / name).read_bytes()).hexdigest() == digest
    with Pipeline(bundle) as pipeline:
        assert pipeline(sample().images[:1]).labels.shape == (1,)


def test_every_generation_it_knows_is_built_for(bundle: Path):
    for capability in ("8.0", "8.6", "8.9", "12.0"):
        assert build_engine(bundle, flavor=RTX, capability=capability).stat().st_size > 10_000


def test_float32_is_float32(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    """TF32, which TensorRT takes where it may, has ten bits of mantissa: too few for the purifier's comparisons."""
    import tensorrt_rtx as trt

    allowed, configured = [], build._Build._configured

    def watched(*asked):
        config = configured(*asked)
        allowed.append(config.get_flag(trt.BuilderFlag.TF32))
        return config

    monkeypatch.setattr(build._Build, "_configured", watched)
    build_engine(bundle, flavor=RTX, part="classifier")
    assert allowed == [False]


def test_progress_is_told(bundle: Path):
    told = []
    build_engine(bundle, flavor=RTX, progress=lambda *step: told.append(step))
    assert len({phase for phase, _, _ in told}) > 3
    assert all(0 <= done <= total for _, done, total in told)


def test_ctrl_c_leaves_the_bundle_as_it_was(bundle: Path):
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(_phase: str, done: int, _total: int) -> None:
        if done:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="the bundle is as it was"):
        build_engine(bundle, flavor=RTX, progress=press)
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


def test_a_graph_that_tensorrt_refuses_is_told_by_its_first_cause(bundle: Path):
    import onnx
    from onnx import helper

    model = onnx.load(bundle / "classifier.onnx")
    model.graph.node[-1].op_type = "Einsum"  # of one operand and no equation
    model.graph.node[-1].attribute.append(helper.make_attribute("equation", "ab,zz->q"))
    onnx.save(model, bundle / "classifier.onnx")
    relist(bundle)
    with pytest.raises(ExportError, match=r"tensorrt-rtx [\d.]+ refuses the graph: .*(Einsum|ab,zz)"):
        build_engine(bundle, flavor=RTX, part="classifier")
    assert not (bundle / "engines").exists()


def test_a_bundle_that_is_not_what_it_is_named_is_refused(bundle: Path):
    manifest = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**manifest, "precision": "fp16"}))
    with pytest.raises(ExportError, match=r"named fp16, .* are 0% fp16, and of all but the first 0% int8"):
        build_engine(bundle, flavor=RTX)


def test_int8_for_the_other_runtime_is_refused(tmp_path: Path):
    export_bundle("lenet", tmp_path / "bundle", precision="int8", max_accuracy_drop=1.5)
    with pytest.raises(UsageError, match="int8 for ONNX Runtime, which TensorRT refuses"):
        build_engine(tmp_path / "bundle", flavor=RTX)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"profile": (4, 2, 8)}, "a profile is the smallest, the usual and the largest batch"),
        ({"profile": (0, 1, 2)}, "from 1 on, got 0,1,2"),
        ({"part": "purifier"}, "has no part 'purifier'; it has classifier, pipeline"),
        ({"capability": "9.0"}, "does not build for compute capability '9.0'"),
        ({"flavor": "rtx"}, "unknown flavor 'rtx'"),
    ],
)
def test_unfit_requests(bundle: Path, asked: dict, message: str):
    with pytest.raises(UsageError, match=message):
        build_engine(bundle, **{"flavor": RTX, **asked})


def relist(bundle: Path) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text())
    for name, entry in manifest["files"].items():
        content = (bundle / name).read_bytes()
        entry.update(sha256=hashlib.sha256(content).hexdigest(), nbytes=len(content))
    (bundle / "bundle.json").write_text(json.dumps(manifest))

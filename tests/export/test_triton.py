"""The model repository, read back with Triton's own schema and compared with the graph's tensors."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from tensorrt_stand_in import add_engine

from pixelproof.errors import BundleError, UsageError
from pixelproof.export import triton
from pixelproof.export.triton import export_triton
from pixelproof.runtime import read_bundle

schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="Triton's schema is in tritonclient")
NUMPY = {"TYPE_UINT8": np.uint8, "TYPE_FP32": np.float32, "TYPE_INT64": np.int64}


def parsed(folder: Path):
    from google.protobuf import text_format

    return text_format.Parse((folder / "config.pbtxt").read_text(), schema.ModelConfig())


def check_against(config, path: Path) -> None:
    """Every tensor of the ONNX file, and no other, by name, type and shape."""
    graph = onnx.load(path).graph
    for told, real in ((config.input, graph.input), (config.output, graph.output)):
        assert [tensor.name for tensor in told] == [tensor.name for tensor in real]
        for ours, theirs in zip(told, real, strict=True):
            kind = theirs.type.tensor_type
            assert NUMPY[schema.DataType.Name(ours.data_type)] == onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            sides = list(ours.reshape.shape) if ours.HasField("reshape") else list(ours.dims)
            assert sides == [side.dim_value for side in kind.shape.dim][1:]
            assert kind.shape.dim[0].dim_param


def test_a_pipelines_repository(lenet_median_bundle: Path, tmp_path: Path):
    model = export_triton(lenet_median_bundle, tmp_path / "models", largest_batch=64, delay_us=500)
    assert model == tmp_path / "models" / "lenet-median"
    config = parsed(model)
    assert (config.name, config.platform, config.max_batch_size) == ("lenet-median", "onnxruntime_onnx", 64)
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 64]
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    check_against(config, lenet_median_bundle / "pipeline.onnx")
    assert (model / "1" / "model.onnx").read_bytes() == (lenet_median_bundle / "pipeline.onnx").read_bytes()
    labels = (model / config.output[0].label_filename).read_text().splitlines()
    assert tuple(labels) == read_bundle(lenet_median_bundle).class_names


def test_a_bundle_with_no_purifier_serves_its_classifier(make_bundle, tmp_path: Path):
    bundle = make_bundle(purifier=None, size=(4, 6))
    model = export_triton(bundle, tmp_path / "models", largest_batch=1)
    config = parsed(model)
    check_against(config, bundle / "classifier.onnx")
    assert list(config.dynamic_batching.preferred_batch_size) == [1]


@pytest.mark.parametrize("part", ["pipeline", "classifier"])
def test_an_engine_is_served_as_a_plan(lenet_median_bundle: Path, tmp_path: Path, part: str):
    bundle, name = tmp_path / "bundle", f"{part}.tensorrt.9.0.engine"
    shutil.copytree(lenet_median_bundle, bundle)
    add_engine(bundle, name=name, content=b"an engine", profile=[1, 32, 64])
    model = export_triton(bundle, tmp_path / "models", engine=name)
    config = parsed(model)
    assert config.platform == "tensorrt_plan"
    assert (model / "1" / "model.plan").read_bytes() == b"an engine"
    check_against(config, bundle / f"{part}.onnx")
    with pytest.raises(UsageError, match=r"batches of 64 at most, got 65\. Next: --largest-batch 64"):
        export_triton(bundle, tmp_path / "models", engine=name, largest_batch=65, force=True)
    (bundle / "engines" / name).write_bytes(b"another")
    with pytest.raises(BundleError, match="is not the one that was built"):
        export_triton(bundle, tmp_path / "models", engine=name, force=True)
    (bundle / "engines" / name).unlink()
    with pytest.raises(BundleError, match=f"'engines/{name}' is missing"):
        export_triton(bundle, tmp_path / "models", engine=name, force=True)


def test_an_engine_that_triton_does_not_run_is_refused(lenet_median_bundle: Path, tmp_path: Path):
    shutil.copytree(lenet_median_bundle, tmp_path / "bundle")
    name = "pipeline.tensorrt-rtx.portable.engine"
    add_engine(tmp_path / "bundle", name=name, content=b"an engine", flavour="tensorrt-rtx")
    with pytest.raises(UsageError, match=r"Triton runs engines of TensorRT, and .* is of tensorrt-rtx"):
        export_triton(tmp_path / "bundle", tmp_path / "models", engine=name)


def test_bad_requests(lenet_median_bundle: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"has no engine 'fast'; there are: none\. Next: pixelproof build-engine "):
        export_triton(lenet_median_bundle, tmp_path / "models", engine="fast")
    with pytest.raises(UsageError, match="a largest batch of 1 or more"):
        export_triton(lenet_median_bundle, tmp_path / "models", largest_batch=0)
    assert list(tmp_path.iterdir()) == []


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def repository(make_bundle, tmp_path: Path) -> Path:
    """A repository with the model `first` and a file of somebody's."""
    export_triton(make_bundle("first"), tmp_path / "models")
    (tmp_path / "models" / "README").write_text("theirs")
    return tmp_path / "models"


def test_a_model_is_added_to_a_repository(make_bundle, repository: Path):
    before = contents(repository)
    model = export_triton(make_bundle("second"), repository)
    assert parsed(model).name == "second"
    assert contents(repository) == before | {f"second/{name}": content for name, content in contents(model).items()}
    assert {path.name for path in repository.iterdir()} == {"README", "first", "second"}


def test_force_replaces_one_model_alone(make_bundle, repository: Path):
    bundle = make_bundle("second")
    model = export_triton(bundle, repository, largest_batch=8)
    (model / "2").mkdir()
    (model / "2" / "model.onnx").write_text("an older one")
    before = contents(repository)
    with pytest.raises(UsageError, match=r"'second' is in .* already\. Next: --force to replace that model alone"):
        export_triton(bundle, repository)
    assert contents(repository) == before
    export_triton(bundle, repository, force=True)
    assert parsed(model).max_batch_size == 64
    changed = ("second/config.pbtxt", "second/2/model.onnx")
    after = contents(repository)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set(changed)


@pytest.mark.parametrize("force", [True, False])
def test_what_is_no_model_is_never_replaced(make_bundle, repository: Path, force: bool):
    (repository / "second").mkdir()
    bundle = make_bundle("second")
    (repository / "second" / "notes").write_text("theirs")
    before = contents(repository)
    with pytest.raises(UsageError, match=r"is no model of Triton's .* Next: another -o FOLDER$"):
        export_triton(bundle, repository, force=force)
    with pytest.raises(UsageError, match=r"is no model of Triton's .* Next: another -o FOLDER$"):
        export_triton(bundle, bundle.parent, force=force)  # where the model would lie is the bundle itself
    assert contents(repository) == before
    (repository / "second" / "notes").unlink()
    export_triton(bundle, repository)  # an empty folder is nothing to lose


@pytest.mark.parametrize("force", [True, False])
def test_what_is_no_repository_is_refused(make_bundle, repository: Path, tmp_path: Path, force: bool):
    bundle = make_bundle("second")
    (tmp_path / "file").write_text("theirs")
    before = contents(tmp_path)
    for output, why in (
        (tmp_path / "file", "is a file, and a model repository is a folder"),
        (tmp_path / "file" / "models", "is a file, and a model repository is a folder"),
        (bundle, r"is a bundle \(it holds a bundle\.json\)"),
        (repository / "first", r"is a model of Triton's \(it holds a config\.pbtxt\)"),
    ):
        with pytest.raises(UsageError, match=rf"{why}.* Next: another -o FOLDER$"):
            export_triton(bundle, output, force=force)
    assert contents(tmp_path) == before


def test_a_model_that_breaks_off_leaves_the_repository_as_it_was(make_bundle, repository: Path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("no space")

    before = contents(repository)
    bundle = make_bundle("second")
    monkeypatch.setattr(triton, "write_text", fail)
    for output in (repository, repository.parent / "new" / "models"):
        with pytest.raises(OSError, match="no space"):
            export_triton(bundle, output)
    assert contents(repository) == before
    assert {path.name for path in repository.parent.iterdir()} == {"first", "models", "second"}

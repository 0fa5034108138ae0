"""The model repository, read back with Triton's own schema and compared with the graph's tensors."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from tensorrt_stand_in import add_engine

from pixelproof.errors import BundleError, UsageError
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
    with pytest.raises(UsageError, match="has no engine 'fast'; there are: none; pixelproof build-engine"):
        export_triton(lenet_median_bundle, tmp_path / "models", engine="fast")
    with pytest.raises(UsageError, match="a largest batch of 1 or more"):
        export_triton(lenet_median_bundle, tmp_path / "models", largest_batch=0)
    export_triton(lenet_median_bundle, tmp_path / "models")
    with pytest.raises(UsageError, match="exists already"):
        export_triton(lenet_median_bundle, tmp_path / "models")
    export_triton(lenet_median_bundle, tmp_path / "models", force=True)

"""Fixtures that the tests of several folders share."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cuda_stand_in import CudaStandIn
from tensorrt_stand_in import TensorRt

pytest_plugins = ["command_line_fixtures", "evaluation_fixtures", "web_server_fixtures"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads of PyTorch only wait for one another


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, saying why; where PIXELPROOF_GPU says that there is one, fail."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and (why := _no_gpu()):
        if os.environ.get("PIXELPROOF_GPU"):
            raise pytest.UsageError(f"PIXELPROOF_GPU is set, and there is no GPU to test on: {why}")
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"no GPU to test on: {why}"))


def _no_gpu() -> str:
    from pixelproof.attack.cuda import open_device
    from pixelproof.errors import PixelproofError

    try:
        open_device().close()
    except PixelproofError as error:
        return str(error).partition(". Next: ")[0]
    return ""


@pytest.fixture
def cuda_stand_in(monkeypatch: pytest.MonkeyPatch) -> CudaStandIn:
    """A GPU that is not there, in place of PyCUDA and cuda-bindings."""
    made = CudaStandIn()
    package: Any = ModuleType("pycuda")
    package.__spec__ = SimpleNamespace(name="pycuda")
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", made.pycuda())
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", made.bindings())
    return made


@pytest.fixture
def trt(cuda_stand_in: CudaStandIn, monkeypatch: pytest.MonkeyPatch) -> TensorRt:
    """TensorRT 10.16 on that GPU."""
    from pixelproof.runtime import backends

    made = TensorRt(cuda_stand_in)
    monkeypatch.setitem(sys.modules, "tensorrt", made.module("tensorrt", "10.16.1"))
    backends._kept_fault.cache_clear()
    return made


CLIP, FACTORS = 200, [[4, 0, -4], [0, 2, 0], [-1, 0, 1]]
"""The stand-in purifier takes values above CLIP down to it; the classifier multiplies the channels' means."""

_CLASSIFIER = """
<ir_version: 9, opset_import: ["": 18]>
classifier (uint8[batch,{height},{width},3] images) => (float[batch,3] probabilities)
<float[3,3] factors = {{4, 0, -4, 0, 2, 0, -1, 0, 1}}, int64[2] rows_and_columns = {{1, 2}}, float top = {{255}}>
{{
    values = Cast<to=1>(images)
    scaled = Div(values, top)
    means = ReduceMean<keepdims=0>(scaled, rows_and_columns)
    logits = MatMul(means, factors)
    probabilities = Softmax<axis=1>(logits)
}}
"""

_PIPELINE = """
<ir_version: 9, opset_import: ["": 18]>
pipeline (uint8[batch,{height},{width},3] images) => (
    float[batch,3] probabilities, uint8[batch,{height},{width},3] purified,
    float[batch] suspicion, int64[batch,2] suspect)
<float[3,3] factors = {{4, 0, -4, 0, 2, 0, -1, 0, 1}}, int64[2] rows_and_columns = {{1, 2}}, float top = {{255}},
 float zero = {{0}}, float clip = {{200}}, float half = {{0.5}}, int64[1] one = {{1}}, int64[1] three = {{3}},
 int64[2] flat = {{0, -1}}, int64 width = {{{width}}}, int64 none = {{-1}}>
{{
    values = Cast<to=1>(images)
    clean = Clip(values, zero, clip)
    raised = Add(clean, half)
    level = Floor(raised)
    purified = Cast<to=2>(level)
    difference = Sub(values, clean)
    change = Div(difference, top)
    by_pixel = ReduceMax<keepdims=0>(change, three)
    in_row_order = Reshape(by_pixel, flat)
    suspicion = ReduceMax<keepdims=0>(in_row_order, one)
    index = ArgMax<axis=1, keepdims=1>(in_row_order)
    row = Div(index, width)
    column = Mod(index, width)
    place = Concat<axis=1>(row, column)
    largest = ReduceMax<keepdims=1>(in_row_order, one)
    changed = Greater(largest, zero)
    suspect = Where(changed, place, none)
    scaled = Div(clean, top)
    means = ReduceMean<keepdims=0>(scaled, rows_and_columns)
    logits = MatMul(means, factors)
    probabilities = Softmax<axis=1>(logits)
}}
"""


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle with the fused graph's inputs and outputs: any image size, three classes, checkable weights.

    `make_bundle(size=(H, W), purifier=NAME or None, files={name: bytes, to replace or add}, **manifest fields)`.
    """

    def make(
        name: str = "bundle",
        *,
        size: tuple[int, int] = (4, 6),
        purifier: str | None = "gated",
        files: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> Path:
        graphs = {"classifier.onnx": _graph(_CLASSIFIER, size)}
        if purifier is not None:
            graphs["pipeline.onnx"] = _graph(_PIPELINE, size)
        return _write(tmp_path / name, graphs | (files or {}), _manifest(size, purifier) | fields)

    return make


def _graph(text: str, size: tuple[int, int]) -> bytes:
    onnx = pytest.importorskip("onnx.parser", reason="the stand-in graphs are written with onnx")
    model: bytes = onnx.parse_model(text.format(height=size[0], width=size[1])).SerializeToString()
    return model


def _write(folder: Path, files: dict[str, bytes], manifest: dict[str, Any]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    entries = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "nbytes": len(content)} for name, content in files.items()
    }
    (folder / "bundle.json").write_text(json.dumps({"files": entries} | manifest))
    return folder


def _manifest(size: tuple[int, int], purifier: str | None) -> dict[str, Any]:
    images = {"name": "images", "dtype": "uint8", "shape": ["batch", *size, 3]}
    probabilities = {"name": "probabilities", "dtype": "float32", "shape": ["batch", 3]}
    fused = [
        {"name": "purified", "dtype": "uint8", "shape": ["batch", *size, 3]},
        {"name": "suspicion", "dtype": "float32", "shape": ["batch"]},
        {"name": "suspect", "dtype": "int64", "shape": ["batch", 2]},
    ]
    return {
        "format": "pixelproof-bundle",
        "format_version": 1,
        "created": "2026-01-31T12:00:00+00:00",
        "pixelproof": "0.1.0",
        "precision": "fp32",
        "target": "cpu",
        "inputs": [images],
        "outputs": [probabilities, *(fused if purifier else [])],
        "image_size": list(size),
        "class_names": ["red", "green", "blue"],
        "classifier": {"name": "means", "source": "onnx", "weights_sha256": "0" * 64},
        "purifier": purifier
        and {"name": purifier, "weights_sha256": "1" * 64, "suspicion_is_detector": purifier != "autoencoder"},
        "versions": {"python": "3.11.0", "onnx": "1.19.0"},
        "verification": {"images": 200, "probabilities_max_difference": 1e-7},
    }


@pytest.fixture(scope="session")
def lenet_gated_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as `pixelproof export` writes it: LeNet behind the gated purifier, random weights, always the same."""
    torch = pytest.importorskip("torch")
    from pixelproof.export import export_bundle
    from pixelproof.models import CIFAR10_CLASSES, build_classifier, build_purifier

    torch.manual_seed(0)
    classifier, purifier = build_classifier("lenet", trained=False), build_purifier("gated", trained=False)
    folder = tmp_path_factory.mktemp("exported") / "lenet-gated"
    export_bundle(classifier, folder, purifier=purifier, size=(32, 32), class_names=CIFAR10_CLASSES)
    return folder


@pytest.fixture(scope="session")
def lenet_median_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped LeNet behind the median, whose attacks take few queries."""
    pytest.importorskip("torch")
    from pixelproof.export import export_bundle

    folder = tmp_path_factory.mktemp("exported") / "lenet-median"
    export_bundle("lenet", folder, purifier="median")
    return folder


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """`with full_disk(nbytes):` no file grows beyond so many bytes; writing on is an OSError, as on a full disk."""
    resource = pytest.importorskip("resource", reason="this system sets no limit to files")

    @contextmanager
    def limited(nbytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited

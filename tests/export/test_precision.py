"""Bundles whose classifier computes in float16 or int8; int8's scales, on a network small enough to foresee them."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pixelproof.errors import ExportError, UsageError
from pixelproof.export import export_bundle
from pixelproof.export.own_images import Calibration
from pixelproof.export.precision import check_precision, quantized
from pixelproof.models import provenance
from pixelproof.models.data import ImageSet, adversarial_sample, sample
from pixelproof.runtime import Pipeline, read_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """LeNet behind the gated purifier in each precision, int8 for both targets."""
    folder = tmp_path_factory.mktemp("precisions")
    asked = {"fp32": ("fp32", "cpu"), "fp16": ("fp16", "cpu"), "int8": ("int8", "cpu"), "engine": ("int8", "tensorrt")}
    for name, (precision, target) in asked.items():
        # the shipped images are few: one of 200 is half a point
        export_bundle("lenet", folder / name, precision=precision, target=target, max_accuracy_drop=1.5)
    return {name: folder / name for name in asked}


def kinds(path: Path, part: str) -> Counter[int]:
    """How many weights of `part` ("classifier" or "purifier") there are of each type, scalars left out."""
    graph = onnx.load(path / "pipeline.onnx").graph
    held = [tensor for tensor in graph.initializer if tensor.name.startswith(part) and len(tensor.dims) > 1]
    return Counter(tensor.data_type for tensor in held)


@pytest.mark.parametrize(
    ("name", "expected", "weights"),
    [
        ("fp32", TensorProto.FLOAT, 7),  # and what normalizes
        ("fp16", TensorProto.FLOAT16, 5),
        ("int8", TensorProto.INT8, 4),  # all but the last
        ("engine", TensorProto.INT8, 1),  # convolutions but the first
    ],
)
def test_the_classifier_is_what_it_is_called_and_the_purifier_full(bundles, name: str, expected: int, weights: int):
    assert kinds(bundles[name], "classifier")[expected] == weights
    assert set(kinds(bundles[name], "purifier")) == {TensorProto.FLOAT}
    manifest = read_bundle(bundles[name]).manifest
    assert (manifest["precision"], manifest["target"]) == {
        "fp32": ("fp32", "cpu"),
        "fp16": ("fp16", "cpu"),
        "int8": ("int8", "cpu"),
        "engine": ("int8", "tensorrt"),
    }[name]


@pytest.mark.parametrize("name", ["fp16", "int8", "engine"])
def test_decisions_are_compared_in_the_runtime(bundles, name: str):
    images, labels = sample().images, sample().labels
    for part in ("classifier", "pipeline"):
        with Pipeline(bundles["fp32"], part=part) as full, Pipeline(bundles[name], part=part) as lower:
            before, after = full.predict(images).argmax(1), lower.predict(images).argmax(1)
        told = read_bundle(bundles[name]).manifest["decisions"][part]
        assert told == {
            "images": 200,
            "top1_agreement": pytest.approx((before == after).mean()),
            "classes": len(set(before)),
            "accuracy_fp32": pytest.approx((before == labels).mean()),
            "accuracy": pytest.approx((after == labels).mean()),
        }
        assert told["top1_agreement"] >= (0.995 if name == "fp16" else 0.95)


@pytest.mark.parametrize("name", ["fp16", "int8", "engine"])
def test_what_the_purifier_mends_and_loses_is_compared_too(bundles, name: str):
    told = read_bundle(bundles[name]).manifest["purification"]
    clean, fooling = sample(), adversarial_sample("lenet", provenance("lenet")["weights_sha256"])
    expected = {"clean_images": 200, "adversarial_images": len(fooling)}
    for suffix, path in (("_fp32", bundles["fp32"]), ("", bundles[name])):
        with Pipeline(path, part="classifier") as bare, Pipeline(path) as pipeline:
            right = bare.predict(clean.images).argmax(1) == clean.labels
            lost = pipeline.predict(clean.images).argmax(1) != clean.labels
            fooled = bare.predict(fooling.images).argmax(1) != fooling.labels
            mended = pipeline.predict(fooling.images).argmax(1) == fooling.labels
        expected |= {f"pl{suffix}": lost[right].mean(), f"d_suc{suffix}": mended[fooled].mean()}
        expected[f"fooled{suffix}"] = fooled.sum()
    assert told == pytest.approx(expected)
    assert told["d_suc_fp32"] > 0.9
    assert abs(told["d_suc"] - told["d_suc_fp32"]) <= 0.02


def test_a_bundle_that_does_not_purify_has_no_such_figures(tmp_path: Path):
    export_bundle("lenet", tmp_path / "bare", purifier="none", precision="fp16")
    assert "purification" not in read_bundle(tmp_path / "bare").manifest


def test_purified_images_are_the_same_in_every_precision(bundles):
    images = sample().images[:50].copy()
    images[:, 7, 9] = 255 - images[:, 7, 9]
    purified = []
    for path in bundles.values():
        with Pipeline(path) as pipeline:
            purified.append(pipeline.purify(images))
    for other in purified[1:]:
        np.testing.assert_array_equal(other, purified[0])


def test_each_target_gets_the_int8_that_suits_it(bundles):
    zeros = {}
    for name in ("int8", "engine"):
        graph = onnx.load(bundles[name] / "classifier.onnx").graph
        initializers = {tensor.name: tensor for tensor in graph.initializer}
        quantized = [node for node in graph.node if node.op_type == "QuantizeLinear"]
        zeros[name] = [numpy_helper.to_array(initializers[node.input[2]]) for node in quantized]
        biases = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT32 and tensor.dims]
        assert bool(biases) == (name == "int8")
        assert {"Conv", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    assert {zero.dtype for zero in zeros["int8"]} == {np.dtype(np.uint8)}
    assert {zero.dtype for zero in zeros["engine"]} == {np.dtype(np.int8)}
    assert not any(zero.any() for zero in zeros["engine"])  # symmetric


def test_for_tensorrt_only_what_a_convolution_takes_is_rounded(bundles):
    nodes = onnx.load(bundles["engine"] / "classifier.onnx").graph.node
    maker = {output: node for node in nodes for output in node.output}
    first, *others = convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert maker[first.input[0]].op_type != "DequantizeLinear"  # it sees the image
    assert others
    assert all(maker[node.input[0]].op_type == "DequantizeLinear" for node in others)
    rounded = {node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    assert not rounded & {node.output[0] for node in convolutions}


def test_int8_tells_its_calibration_and_comes_out_the_same_twice(bundles, tmp_path: Path):
    told = read_bundle(bundles["int8"]).manifest["calibration"]
    assert told["images"] == 200
    assert "training images" in told["source"]
    assert "calibration" not in read_bundle(bundles["fp16"]).manifest
    export_bundle("lenet", tmp_path / "again", precision="int8", max_accuracy_drop=1.5)
    for file in ("classifier.onnx", "pipeline.onnx"):
        assert (tmp_path / "again" / file).read_bytes() == (bundles["int8"] / file).read_bytes()


def test_too_much_accuracy_lost_fails_and_leaves_nothing(tmp_path: Path):
    flat = Calibration(np.full((2, 32, 32, 3), 7, np.uint8), "two black images")  # scales that fit nothing else
    with pytest.raises(
        ExportError, match=r"int8 costs the classifier too much on 200 images: accuracy .* in fp32; 0\.5 points"
    ):
        export_bundle("lenet", tmp_path / "bundle", precision="int8", calibration=flat)
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_ones_own_in_every_precision(own_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Other classes than the sample's: how many are right cannot be said, how many decisions stay can."""
    monkeypatch.chdir(own_folder)
    for precision in ("fp16", "int8"):
        bundle = export_bundle(
            "shapes_network:build",
            tmp_path / precision,
            size=(96, 64),
            class_names=["circle", "square", "triangle"],
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            precision=precision,
            max_accuracy_drop=10,
        )
        told = bundle.manifest["decisions"]["pipeline"]
        assert set(told) == {"images", "top1_agreement", "classes"}
        assert told["top1_agreement"] >= 0.9


@pytest.mark.parametrize("drop", [-1, -0.001, float("nan"), float("inf")])
def test_the_accuracy_that_may_be_lost_is_a_number_of_points(drop: float):
    with pytest.raises(UsageError, match=r"0 or more, got .*\. Next: --max-accuracy-drop 0\.5"):
        check_precision("fp16", "cpu", drop)
    assert check_precision("fp16", "cpu", 0).max_accuracy_drop == 0


def test_bad_requests(tmp_path: Path, make_onnx):
    for settings, message in (
        ({"precision": "int4"}, r"unknown precision 'int4'; did you mean 'int8'\?"),
        ({"target": "gpu"}, r"unknown target 'gpu'; .*there are: cpu, tensorrt"),
    ):
        with pytest.raises(UsageError, match=message):
            export_bundle("lenet", tmp_path / "bundle", **settings)
    with pytest.raises(UsageError, match="float16 is made from a PyTorch module alone"):
        export_bundle(make_onnx(), tmp_path / "bundle", size=(96, 64), class_names=list("abc"), precision="fp16")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"precision": "fp16", "calibration": Calibration.shipped()}, "fp16 takes no scales from images"),
        (
            {"precision": "fp16", "test": ImageSet(np.zeros((1, 8, 9, 3), np.uint8), np.zeros(1, int), ("a",))},
            "the data set's images are 8x9, and the bundle takes 32x32",
        ),
    ],
)
def test_images_that_have_no_use_are_refused(tmp_path: Path, asked: dict, message: str):
    with pytest.raises(UsageError, match=message):
        export_bundle("lenet", tmp_path / "bundle", **asked)


def network(*names: str, weights: tuple[float, float, float] = (1, 1, 1)) -> onnx.ModelProto:
    """A convolution a name, each channel times its weight, and the mean of each channel."""
    kernel = np.diag(weights).astype(np.float32).reshape(3, 3, 1, 1)
    nodes, last = [], "x"
    for number, name in enumerate(names):
        nodes.append(helper.make_node("Conv", [last, f"kernel{number}"], [f"map{number}"], name=name))
        last = f"map{number}"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["y"], name="flatten"))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(kernel, f"kernel{number}") for number in range(len(names))],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def brightest(*runs: tuple[int, float]) -> np.ndarray:
    """Images in turn, so many of each brightest value."""
    return np.concatenate([np.full((count, 3, 4, 4), value, np.float32) for count, value in runs])


def scales(model: onnx.ModelProto) -> list[float]:
    """Of the activations, in the order of the graph."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    taken = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] not in held]
    return [float(held[node.input[1]]) for node in taken]


def test_for_tensorrt_a_range_is_the_mean_of_the_runs():
    model = quantized(network("a", "b"), brightest((50, 1.0), (50, 0.5)), target="tensorrt", what="it")
    assert scales(model) == [pytest.approx(0.75 / 127)]


def test_on_the_cpu_a_range_holds_all_that_was_seen():
    model = quantized(network("a", "b", "c"), brightest((50, 1.0), (50, 0.5)), target="cpu", what="it")
    assert scales(model)
    assert all(scale == pytest.approx(1 / 255) for scale in scales(model))


def test_on_the_cpu_the_last_layer_with_weights_stays_in_float():
    model = quantized(network("a", "b", "c"), brightest((8, 1.0)), target="cpu", what="it")
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    weights = {node.name: made_by.get(node.input[1]) for node in model.graph.node if node.op_type == "Conv"}
    assert weights == {"a": "DequantizeLinear", "b": "DequantizeLinear", "c": None}


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
def test_each_channel_of_the_weights_has_its_scale(target: str):
    model = quantized(network("a", "b", "c", weights=(1, 2, 4)), brightest((8, 1.0)), target=target, what="it")
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    read = {node.output[0]: held[node.input[1]] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    lowered = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in read]
    assert len(lowered) == 2
    for node in lowered:
        np.testing.assert_allclose(read[node.input[1]], np.array([1, 2, 4]) / 127, rtol=0.01)


def test_no_run_is_so_short_that_its_few_images_weigh_more():
    model = quantized(network("a", "b"), brightest((50, 1.0), (1, 0.0)), target="tensorrt", what="it")
    assert scales(model) == [pytest.approx(1 / 127)]


@pytest.mark.parametrize(("names", "in_int8"), [(("a", "b", "c"), ["b", "c"]), (("a",), ["a"]), (("", "b"), ["", "b"])])
def test_for_tensorrt_the_first_convolution_stays_in_float(names: tuple[str, ...], in_int8: list[str]):
    """Where it is not the only one, and has a name to leave it out by."""
    model = quantized(network(*names), brightest((8, 1.0)), target="tensorrt", what="it")
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    lowered = [node.name for node in convolutions if made_by.get(node.input[0]) == "DequantizeLinear"]
    assert lowered == in_int8

"""The pipeline on a stand-in bundle whose results a few lines of NumPy foretell (see `make_bundle`)."""

import copy
import json
import multiprocessing
import pickle
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pixelproof.errors import BackendError, BundleError, UsageError
from pixelproof.runtime import Pipeline, Result
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

MakeBundle = Callable[..., Path]
FACTORS = np.array([[4, 0, -4], [0, 2, 0], [-1, 0, 1]])


def some_images(n: int, size: tuple[int, int] = (4, 6), top: int = 256) -> np.ndarray:
    return np.random.default_rng(7).integers(0, top, (n, *size, 3), dtype=np.uint8)


def foretold(images: np.ndarray) -> Result:
    purified = images.clip(0, 200)
    change = (images - purified).max(axis=3).reshape(len(images), -1)
    places = np.stack(np.unravel_index(change.argmax(axis=1), images.shape[1:3]), axis=1)
    probabilities = classified(purified)
    suspect = np.where(change.max(axis=1, keepdims=True) > 0, places, -1)
    return Result(probabilities.argmax(axis=1), probabilities, purified, change.max(axis=1) / np.float32(255), suspect)


def classified(images: np.ndarray) -> np.ndarray:
    powers = np.exp(images.mean(axis=(1, 2)) / 255 @ FACTORS)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def assert_same(result: Result, expected: Result) -> None:
    for field in Result.__dataclass_fields__:
        got, wanted = getattr(result, field), getattr(expected, field)
        assert got.dtype == wanted.dtype, field
        np.testing.assert_allclose(got, wanted, atol=1e-5 if got.dtype == np.float32 else 0, err_msg=field)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("size", [(4, 6), (96, 64)])
def test_results_are_those_of_the_graph(make_bundle: MakeBundle, n: int, size: tuple[int, int]):
    images = some_images(n, size)
    with Pipeline(make_bundle(size=size)) as pipeline:
        assert_same(pipeline(images), foretold(images))
        np.testing.assert_array_equal(pipeline.predict(images), pipeline(images).probabilities)
        np.testing.assert_array_equal(pipeline.purify(images), images.clip(0, 200))


def test_an_untouched_image_has_no_suspect(make_bundle: MakeBundle):
    images = some_images(3, top=201)
    result = Pipeline(make_bundle())(images)
    np.testing.assert_array_equal(result.purified, images)
    np.testing.assert_array_equal(result.suspicion, 0)
    np.testing.assert_array_equal(result.suspect, -1)


def test_says_what_it_is(make_bundle: MakeBundle):
    folder = make_bundle()
    with Pipeline(folder) as pipeline:
        assert (pipeline.backend, pipeline.provider) == ("cpu", "CPUExecutionProvider")
        assert pipeline.class_names == ("red", "green", "blue")
        assert pipeline.image_size == (4, 6)
        assert pipeline.manifest == json.loads((folder / "bundle.json").read_text())


@pytest.mark.parametrize("options", [{"purifier": None}, {"part": "classifier"}], ids=str)
def test_without_a_purifier_there_are_probabilities_alone(make_bundle: MakeBundle, options: dict):
    purifier = options.get("purifier", "gated")
    images = some_images(5)
    with Pipeline(make_bundle(purifier=purifier), part=options.get("part", "pipeline")) as pipeline:
        result = pipeline(images)
        np.testing.assert_allclose(result.probabilities, classified(images), atol=1e-6)
        assert (result.purified, result.suspicion, result.suspect) == (None, None, None)
        with pytest.raises(UsageError, match="no purifier"):
            pipeline.purify(images)


def test_purify_runs_without_the_classifier(make_bundle: MakeBundle):
    """A classifier that fails on any batch but multiples of seven does not disturb the purifier."""
    model = onnx.load(make_bundle() / "pipeline.onnx")
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.input[0] = "misfit"
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 7, 3]), "by_sevens"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "seven"))
    last = len(model.graph.node) - 1
    model.graph.node.insert(last, helper.make_node("ReduceMax", ["weeks", "seven"], ["misfit"], keepdims=0))
    model.graph.node.insert(last, helper.make_node("Reshape", ["logits", "by_sevens"], ["weeks"]))
    images = some_images(2)
    with Pipeline(make_bundle("broken", files={"pipeline.onnx": model.SerializeToString()})) as pipeline:
        np.testing.assert_array_equal(pipeline.purify(images), images.clip(0, 200))
        with pytest.raises(BackendError, match=r"ONNX Runtime failed on a batch of 2 images.*Next: "):
            pipeline(images)


def test_large_batches_are_split_and_come_back_in_order(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setattr(OnnxRuntimeCpu, "pixels", 4 * 6 * 10)
    images = some_images(33)
    with Pipeline(make_bundle()) as pipeline:
        sizes: list[int] = []
        inner = pipeline._session.run
        monkeypatch.setattr(
            pipeline._session,
            "run",
            lambda images, outputs: (sizes.append(len(images)), inner(images, outputs))[1],
        )
        assert_same(pipeline(images), foretold(images))
    assert sizes == [9, 9, 9, 6]


def test_an_image_larger_than_a_run_is_run_alone(make_bundle: MakeBundle, monkeypatch):
    monkeypatch.setattr(OnnxRuntimeCpu, "pixels", 5)
    images = some_images(3)
    assert_same(Pipeline(make_bundle())(images), foretold(images))


def test_any_memory_order_is_taken(make_bundle: MakeBundle):
    images = some_images(8)
    with Pipeline(make_bundle()) as pipeline:
        assert_same(pipeline(images[::-2, ::-1]), foretold(images[::-2, ::-1]))
        assert_same(pipeline(np.asfortranarray(images)), foretold(images))
        read_only = images.copy()
        read_only.flags.writeable = False
        assert_same(pipeline(read_only), foretold(images))


def test_eight_threads_get_what_one_gets(make_bundle: MakeBundle):
    batches = [some_images(40)[i : i + 1 + i % 5] for i in range(32)]
    with Pipeline(make_bundle(), threads=1) as pipeline:
        alone = [(pipeline(batch), pipeline.predict(batch), batch.clip(0, 200)) for batch in batches]
        with ThreadPoolExecutor(8) as pool:
            calls = list(
                pool.map(lambda batch: (pipeline(batch), pipeline.predict(batch), pipeline.purify(batch)), batches)
            )
    for (result, probabilities, purified), (wanted, wanted_probabilities, wanted_purified) in zip(
        calls, alone, strict=True
    ):
        assert_same(result, wanted)
        np.testing.assert_array_equal(probabilities, wanted_probabilities)
        np.testing.assert_array_equal(purified, wanted_purified)


def test_results_are_the_callers_own(make_bundle: MakeBundle):
    """Two different inputs in a row: the first result does not change under the caller's hands."""
    first, second = some_images(2), 255 - some_images(2)
    with Pipeline(make_bundle()) as pipeline:
        result = pipeline(first)
        pipeline(second)
        assert_same(result, foretold(first))


def test_a_closed_pipeline_says_how_it_is_opened_again(make_bundle: MakeBundle):
    with Pipeline(make_bundle("it's mine")) as pipeline:
        pipeline.close()
    for call in (pipeline, pipeline.predict, pipeline.purify):
        with pytest.raises(UsageError, match=r"is closed\. Next: open it again") as raised:
            call(some_images(1))
    opening = str(raised.value).partition("open it again, ")[2]
    with eval(opening, {"Pipeline": Pipeline}) as again:  # noqa: S307  (the advice is tried as it is printed)
        assert len(again(some_images(1)).labels) == 1


def _message_of_a_call(pipeline: Pipeline, answers: multiprocessing.Queue) -> None:
    try:
        pipeline(some_images(1))
    except BackendError as error:
        answers.put(str(error))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_is_told_to_open_its_own(make_bundle: MakeBundle):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with Pipeline(make_bundle(), threads=2) as pipeline:
        child = context.Process(target=_message_of_a_call, args=(pipeline, answers))
        child.start()
        message = answers.get(timeout=30)
        child.join()
    assert "before the fork. Next: open it in the process that uses it" in message


WRONG_REQUESTS = {
    "backend": (
        {"backend": "npu"},
        "'npu'.* there are: auto, cpu, cuda, ort-tensorrt, tensorrt, tensorrt-rtx. Next: pixelproof doctor",
    ),
    "backend, nearly": ({"backend": "cpuu"}, "did you mean 'cpu'"),
    "part": ({"part": "purifier"}, "unknown part 'purifier'.* classifier, pipeline"),
    "backend that is no text": ({"backend": None}, "unknown backend 'None'.* there are: auto, cpu"),
    "backend that has no hash": ({"backend": ["cpu"]}, "unknown backend .*Next: pixelproof doctor"),
    "part that is no text": ({"part": None}, "unknown part 'None'"),
    "no threads": ({"threads": 0}, "threads must be a whole number above 0, or None, got 0. Next: threads=None"),
    "threads below none": ({"threads": np.int64(-1)}, "threads must be a whole number above 0"),
    "threads by the thousand": (
        {"threads": 100_000},
        r"threads is 100000, and \d+ are the most on a machine with \d+ cores. Next: threads=None takes one a core",
    ),
    "threads as a text": ({"threads": "2"}, "threads must be a whole number above 0, or None, got '2'"),
    "threads as a fraction": ({"threads": 2.5}, "threads must be .* got 2.5"),
    "threads as a truth value": ({"threads": True}, "threads must be .* got True"),
    "manifest's hash": ({"manifest_sha256": "xyz"}, "64 hex digits"),
    "bundle": ({"bundle": 5}, "expected the path of a bundle's folder, got 5"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_REQUESTS.values(), ids=WRONG_REQUESTS.keys())
def test_a_wrong_request_is_named(make_bundle: MakeBundle, options: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Pipeline(**{"bundle": make_bundle(), **options})


@pytest.mark.parametrize("threads", [2, np.int64(2), np.uint8(2)])
def test_threads_may_be_a_number_of_numpys(make_bundle: MakeBundle, threads: int):
    with Pipeline(make_bundle(), threads=threads, backend="cpu") as pipeline:
        assert (type(pipeline.threads), pipeline.threads) == (int, 2)
        assert pipeline.session._session.get_session_options().intra_op_num_threads == 2


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_pipeline_that_is_sent_to_another_process_is_told_to_be_opened_there(make_bundle: MakeBundle, send: Callable):
    folder = make_bundle("it's")
    with Pipeline(folder) as pipeline:
        with pytest.raises(
            BackendError, match=r"cannot be pickled.* Next: open it in the process that uses it"
        ) as told:
            send(pipeline)
        assert len(pipeline(some_images(2)).labels) == 2
    opening = str(told.value).partition("uses it, ")[2]
    with eval(opening, {"Pipeline": Pipeline}) as again:  # noqa: S307  (the advice is tried as it is printed)
        assert again.image_size == (4, 6)


def test_wrong_images_are_named(make_bundle: MakeBundle):
    with Pipeline(make_bundle()) as pipeline:
        for call in (pipeline, pipeline.predict, pipeline.purify):
            with pytest.raises(UsageError, match="empty batch"):
                call(some_images(0))


UNFIT_GRAPHS = {
    "image size": (
        {"image_size": [6, 4]},
        r"has to have images uint8 \(batch, 6, 4, 3\), got images uint8 \(batch, 4, 6, 3\)",
    ),
    "classes": ({"class_names": ["a", "b"]}, r"has to have probabilities float32 \(batch, 2\)"),
}


@pytest.mark.parametrize(("fields", "message"), UNFIT_GRAPHS.values(), ids=UNFIT_GRAPHS.keys())
def test_a_graph_that_contradicts_its_manifest_is_refused(make_bundle: MakeBundle, fields: dict, message: str):
    with pytest.raises(BundleError, match=message):
        Pipeline(make_bundle(**fields))


def test_the_command_for_a_graph_that_contradicts_its_manifest_can_be_pasted(make_bundle: MakeBundle):
    folder = make_bundle("it's mine", class_names=["a", "b"])
    with pytest.raises(BundleError) as told:
        Pipeline(folder)
    command = str(told.value).partition("Next: export it again with ")[2]
    assert shlex.split(command) == ["pixelproof", "export", "CLASSIFIER", "-o", str(folder), "--force"]


def test_a_graph_without_the_purifiers_outputs_is_refused(make_bundle: MakeBundle):
    bare = (make_bundle("bare", purifier=None) / "classifier.onnx").read_bytes()
    with pytest.raises(BundleError, match=r"pipeline\.onnx has to have purified uint8"):
        Pipeline(make_bundle(files={"pipeline.onnx": bare}))


def test_a_batch_size_baked_into_the_graph_is_refused(make_bundle: MakeBundle):
    model = onnx.load(make_bundle("whole") / "classifier.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(BundleError, match=r"has to have images uint8 \(batch, 4, 6, 3\), got .*\(2, 4, 6, 3\)"):
        Pipeline(make_bundle(purifier=None, files={"classifier.onnx": model.SerializeToString()}))

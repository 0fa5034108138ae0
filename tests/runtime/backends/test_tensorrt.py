"""Engines on a GPU that is not there: what TensorRT and the driver are asked, and that the results are right."""

import logging
import random
import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_stand_in import CudaStandIn
from tensorrt_stand_in import Context, Engine, TensorRt, add_engine, engine_bytes

from pixelproof.errors import BackendError, BundleError, PixelproofError, UsageError
from pixelproof.runtime import Pipeline, backends, read_bundle
from pixelproof.runtime.backends import BACKENDS
from pixelproof.runtime.engines import Machine, choose_engine, read_engine

MakeBundle = Callable[..., Path]
NAME = "pipeline.tensorrt.9.0.engine"


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Path:
    """A bundle with an engine for batches of 2 to 6."""
    folder = make_bundle()
    add_engine(folder)
    return folder


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 6, 3), np.uint8)


def same(one: Any, other: Any) -> bool:
    """All equal; the last bit of a probability depends on the batch, which the profile may have filled up."""
    fields = ("labels", "purified", "suspicion", "suspect")
    return np.allclose(one.probabilities, other.probabilities, rtol=0, atol=1e-6) and all(
        np.array_equal(getattr(one, field), getattr(other, field)) for field in fields
    )


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 13, 40])
def test_every_batch_gives_what_the_cpu_gives_filled_up_or_split(trt: TensorRt, bundle: Path, count: int):
    with Pipeline(bundle, backend="tensorrt") as pipeline, Pipeline(bundle, backend="cpu") as reference:
        assert (pipeline.backend, pipeline.provider) == ("tensorrt", "tensorrt 10.16.1")
        assert pipeline.session.images_a_run((4, 6)) == 6  # what the profile allows
        for turn in range(4):  # plain, recorded, replayed, replayed: each on other images
            assert same(pipeline(images(count, turn)), reference(images(count, turn)))
        assert np.array_equal(pipeline.purify(images(count)), reference.purify(images(count)))
        assert np.allclose(pipeline.predict(images(count)), reference.predict(images(count)), rtol=0, atol=1e-6)


def test_no_images_are_an_error_as_on_every_backend(trt: TensorRt, bundle: Path):
    with Pipeline(bundle, backend="tensorrt") as pipeline, pytest.raises(UsageError, match="got"):
        pipeline(images(0))


def test_a_batch_is_copied_run_and_fetched_on_one_stream(trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn):
    with Pipeline(bundle, backend="tensorrt") as pipeline:
        asked = []
        for _ in range(3):
            start = len(cuda_stand_in.calls)
            pipeline.predict(images(3))
            asked.append([call if isinstance(call, str) else call[0] for call in cuda_stand_in.calls[start:]])
        copied = [call for call in cuda_stand_in.calls if call[0] in ("to", "from")]
    recording = ["cuStreamBeginCapture", "enqueue", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphDestroy"]
    assert asked == [
        ["push", "to", "enqueue", "from", "synchronize", "pop"],
        ["push", "to", *recording, "cuGraphLaunch", "from", "synchronize", "pop"],
        ["push", "to", "cuGraphLaunch", "from", "synchronize", "pop"],
    ]
    assert [(way, nbytes, stream) for way, _, nbytes, stream in copied[:2]] == [
        ("to", 3 * 4 * 6 * 3, 4242),
        ("from", 3 * 3 * 4, 4242),
    ]


def test_a_batch_is_split_into_copies_and_computing(trt: TensorRt, bundle: Path):
    with Pipeline(bundle, backend="tensorrt") as pipeline:
        assert pipeline.session.split(images(3)) == (1, 1, 4)  # the stand-in's clock counts calls: 4 outputs come back
        assert pipeline.session.split(images(3))[::2] == (1, 4)


def test_without_recordings_each_batch_is_launched_plainly(trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn):
    with Pipeline(bundle, backend="tensorrt") as pipeline, Pipeline(bundle, backend="cpu") as reference:
        pipeline.session.graphs = False
        for turn in range(3):
            assert same(pipeline(images(4, turn)), reference(images(4, turn)))
    assert not any(call[0] == "cuStreamBeginCapture" for call in cuda_stand_in.calls)


@pytest.mark.parametrize("told", [True, False])
def test_an_engine_that_cannot_be_recorded_runs_plainly(
    trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn, monkeypatch: pytest.MonkeyPatch, told: bool
):
    trt.capturable = False
    if not told:
        monkeypatch.delattr(Context, "is_stream_capturable")
    with Pipeline(bundle, backend="tensorrt") as pipeline, Pipeline(bundle, backend="cpu") as reference:
        for turn in range(4):
            assert same(pipeline(images(4, turn)), reference(images(4, turn)))
    calls = [call[0] for call in cuda_stand_in.calls]
    assert calls.count("cuStreamBeginCapture") == calls.count("cuGraphDestroy") == (0 if told else 1)
    assert "cuGraphLaunch" not in calls


def test_sizes_beyond_those_kept_take_the_place_of_the_oldest(trt: TensorRt, bundle: Path, monkeypatch, cuda_stand_in):
    monkeypatch.setattr("pixelproof.runtime.backends.tensorrt._KEPT_SIZES", 2)
    with Pipeline(bundle, backend="tensorrt") as pipeline, Pipeline(bundle, backend="cpu") as reference:
        for turn, count in enumerate([2, 2, 3, 3, 4, 4, 2, 2, 2]):
            assert same(pipeline(images(count, turn)), reference(images(count, turn)))
        assert sum(call[0] == "cuGraphExecDestroy" for call in cuda_stand_in.calls) == 2


def test_eight_threads_get_what_one_gets(trt: TensorRt, bundle: Path):
    with Pipeline(bundle, backend="tensorrt") as pipeline, Pipeline(bundle, backend="cpu") as reference:
        expected = [reference(images(3 + turn % 3, turn)) for turn in range(16)]
        wrong: list[int] = []

        def work() -> None:
            for turn in range(16):
                if not same(pipeline(images(3 + turn % 3, turn)), expected[turn]):
                    wrong.append(turn)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_closing_frees_all_and_later_calls_are_errors(trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn):
    pipeline = Pipeline(bundle, backend="tensorrt")
    pipeline(images(3))
    session = pipeline._session
    assert cuda_stand_in.held > 0
    pipeline.close()
    pipeline.close()
    assert cuda_stand_in.held == 0
    assert cuda_stand_in.calls.count("push") == cuda_stand_in.calls.count("pop")
    with pytest.raises(UsageError, match="is closed"):
        pipeline(images(3))
    with pytest.raises(BackendError, match="the session of this engine is closed"):
        session.run(images(3), ["probabilities"])


def test_too_little_memory_is_told_and_nothing_is_kept(trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn):
    cuda_stand_in.free = 100
    with pytest.raises(PixelproofError, match="MiB free, and the engine's scratch memory needs 1"):
        Pipeline(bundle, backend="tensorrt")
    assert cuda_stand_in.held == 0


def test_the_bare_classifier_has_its_own_engine(trt: TensorRt, bundle: Path):
    with pytest.raises(BackendError, match=r"no tensorrt engine of its classifier\. Next: .* --part classifier"):
        Pipeline(bundle, backend="tensorrt", part="classifier")
    add_engine(bundle, name="classifier.tensorrt.9.0.engine")
    with (
        Pipeline(bundle, backend="tensorrt", part="classifier") as pipeline,
        Pipeline(bundle, backend="cpu", part="classifier") as reference,
    ):
        assert np.allclose(pipeline.predict(images(9)), reference.predict(images(9)), rtol=0, atol=1e-6)


def test_auto_takes_an_engine_that_fits(trt: TensorRt, bundle: Path):
    with Pipeline(bundle) as pipeline:
        assert pipeline.backend == "tensorrt"


def test_auto_passes_over_an_engine_that_does_not_fit_and_says_why(trt: TensorRt, bundle: Path, caplog):
    add_engine(bundle, version="10.15.0")
    with caplog.at_level(logging.INFO, logger="pixelproof"), Pipeline(bundle) as pipeline:
        assert pipeline.backend == "cpu"
    assert "TensorRT version: built with '10.15.0', and here is '10.16.1'" in caplog.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flavour", "tensorrt-rtx", "TensorRT distribution: built with 'tensorrt-rtx', and here is 'tensorrt'"),
        ("version", "11.0.0", "TensorRT version: built with '11.0.0', and here is '10.16.1'"),
        ("compute_capability", "8.9", "compute capability: built with '8.9', and here is '9.0'"),
        ("gpu", "NVIDIA L4", "GPU: built with 'NVIDIA L4', and here is 'Stand-in GPU'"),
        ("driver_cuda", "13.1", "driver: built with one for CUDA 13.1, and here is 13.0"),
        ("precision", "int8", "precision: built with 'int8', and here is 'fp32'"),
        ("onnx_sha256", "0" * 64, "ONNX SHA-256: built with 000000000000"),
    ],
)
def test_each_field_that_differs_has_its_message(trt: TensorRt, bundle: Path, field: str, value: str, message: str):
    add_engine(bundle, **{field: value})
    with pytest.raises(BackendError) as refused:
        Pipeline(bundle, backend="tensorrt")
    assert message in str(refused.value)
    assert f"Next: pixelproof build-engine {bundle} --rebuild" in str(refused.value)
    assert trt.loads == 0


def test_the_command_that_builds_can_be_pasted_whatever_the_path(trt: TensorRt, make_bundle: MakeBundle):
    folder = make_bundle("it's mine")
    add_engine(folder, version="10.15.0")
    assert build_command(lambda: Pipeline(folder, backend="tensorrt")) == [str(folder), "--rebuild"]
    of_classifier = build_command(lambda: Pipeline(folder, backend="tensorrt", part="classifier"))
    assert of_classifier == [str(folder), "--flavor", "tensorrt", "--part", "classifier"]
    (folder / "engines" / NAME).write_bytes(b"damaged")
    assert build_command(lambda: read_engine(read_bundle(folder), NAME)) == [str(folder), "--rebuild"]


def build_command(call: Callable[[], object]) -> list[str]:
    """What the call's error says to give to `pixelproof build-engine`, as a shell splits it."""
    with pytest.raises((BackendError, BundleError)) as refused:
        call()
    words = shlex.split(str(refused.value).partition("Next: ")[2])
    assert words[:2] == ["pixelproof", "build-engine"]
    return words[2:]


@pytest.mark.parametrize(("built_with", "here"), [("12.8", "13.0"), ("13.0", "13.0"), ("13.2", "13.10")])
def test_an_older_driver_at_build_and_a_portable_engine_fit(bundle: Path, built_with: str, here: str):
    machine = Machine("tensorrt", "10.16.1", "9.0", "Stand-in GPU", here)
    add_engine(bundle, driver_cuda=built_with, compute_capability="portable", gpu=None)
    assert choose_engine(read_bundle(bundle), "pipeline", machine).name == NAME


def test_1000_damaged_engines_are_refused_by_name(trt: TensorRt, bundle: Path):
    path = bundle / "engines" / NAME
    whole, draw = path.read_bytes(), random.Random(0)
    opened = read_bundle(bundle)
    for turn in range(1000):
        path.write_bytes(damaged(whole, turn, draw))
        with pytest.raises(BundleError, match=NAME):
            read_engine(opened, NAME)
    with pytest.raises(BundleError, match=r"is not the one that was built: .*Next: .*--rebuild"):
        Pipeline(bundle, backend="tensorrt")
    assert trt.loads == 0


def damaged(whole: bytes, turn: int, draw: random.Random) -> bytes:
    """Truncated, with one flipped bit, or of somebody else."""
    if turn % 3 == 0:
        return whole[: draw.randrange(len(whole))]
    if turn % 3 == 1:
        at = draw.randrange(len(whole))
        return whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]
    return draw.randbytes(draw.choice([0, 1, len(whole) - 1, len(whole), len(whole) + 1]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b"{}", "'flavour' in its sidecar must be a text, got null"),
        (b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_a_damaged_sidecar_is_refused_by_name(bundle: Path, content: bytes, message: str):
    (bundle / "engines" / NAME.replace(".engine", ".json")).write_bytes(content)
    with pytest.raises(BundleError, match=message):
        read_engine(read_bundle(bundle), NAME)


def test_a_link_out_of_the_bundle_is_refused(bundle: Path, tmp_path: Path):
    path = bundle / "engines" / NAME
    path.rename(tmp_path / "elsewhere.engine")
    path.symlink_to(tmp_path / "elsewhere.engine")
    with pytest.raises(BundleError, match="reaches outside its folder"):
        read_engine(read_bundle(bundle), NAME)


def test_what_tensorrt_refuses_is_told_by_its_first_cause(trt: TensorRt, bundle: Path, cuda_stand_in: CudaStandIn):
    add_engine(bundle, content=b"an engine of another TensorRT")
    with pytest.raises(BackendError, match=f"refuses engine '{NAME}': the magic tag does not match. Next: "):
        Pipeline(bundle, backend="tensorrt")
    assert cuda_stand_in.held == 0


def test_a_run_that_tensorrt_refuses_is_an_error(trt: TensorRt, bundle: Path):
    with Pipeline(bundle, backend="tensorrt") as pipeline:
        trt.refuses = True
        with pytest.raises(BackendError, match="TensorRT refuses to run the engine"):
            pipeline(images(3))


def test_an_engine_of_another_network_is_refused(trt: TensorRt, bundle: Path, make_bundle: MakeBundle):
    other = make_bundle(name="other", size=(5, 6))
    content = engine_bytes((other / "pipeline.onnx").read_bytes(), (2, 4, 6))
    add_engine(bundle, content=content)
    with pytest.raises(BundleError, match=r"has to have images uint8 \(batch, 4, 6, 3\)"):
        Pipeline(bundle, backend="tensorrt")


def test_without_tensorrt_the_extra_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(PixelproofError, match=r"an engine needs tensorrt.*pip install 'pixelproof\[tensorrt\]'"):
        Pipeline(bundle, backend="tensorrt")


def test_a_graph_of_no_bundle_has_no_engine():
    with pytest.raises(BackendError, match="this graph is of no bundle"):
        BACKENDS["tensorrt"].open(backends.Source(b""), None)


def test_all_that_is_asked_of_tensorrt_exists_in_it():
    trt = pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx has the same API")
    asked = {
        trt.Runtime: ["deserialize_cuda_engine"],
        trt.ICudaEngine: [name for name in dir(Engine) if name.startswith("get_")]
        + ["create_execution_context", "device_memory_size_v2", "num_io_tensors"],
        trt.IExecutionContext: [name for name in dir(Context) if name[0] != "_"],
        trt: ["nptype", "TensorIOMode", "ExecutionContextAllocationStrategy", "ILogger"],
    }
    missing = [(owner, name) for owner, names in asked.items() for name in names if not hasattr(owner, name)]
    assert missing == []
    assert hasattr(trt.ExecutionContextAllocationStrategy, "USER_MANAGED")

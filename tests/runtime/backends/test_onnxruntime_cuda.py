"""ONNX Runtime's recordings, with its CPU provider in the GPU's place: the same calls, in the CPU's memory."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pixelproof.errors import BackendError
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.backends import BACKENDS, onnxruntime_cuda
from pixelproof.runtime.backends.gpu_thread import on_gpu_thread
from pixelproof.runtime.backends.onnxruntime_cpu import PROVIDER, OnnxRuntimeCpu
from pixelproof.runtime.backends.onnxruntime_cuda import OnnxRuntimeCuda
from pixelproof.runtime.backends.onnxruntime_recording import Recording
from pixelproof.runtime.backends.onnxruntime_tensorrt import OnnxRuntimeTensorRt

OUTPUTS = ["probabilities", "purified", "suspicion", "suspect"]


class InTheCpu(OnnxRuntimeCuda):
    """Its sessions on the CPU, which takes no notice of recordings."""

    wanted = PROVIDER

    def _prepare(self, runtime, options):
        return [PROVIDER]


def images_of(rows: int) -> np.ndarray:
    return np.ascontiguousarray(sample().images[:rows])


@pytest.fixture(scope="module")
def model(lenet_gated_bundle: Path) -> bytes:
    return (lenet_gated_bundle / "pipeline.onnx").read_bytes()


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """The batch sizes that got buffers, which lie in the CPU's memory."""
    sizes: list[int] = []
    value = onnxruntime.OrtValue
    in_cpu = {name: getattr(value, name) for name in ("ortvalue_from_numpy", "ortvalue_from_shape_and_type")}

    def of_images(images, device, number):
        assert (device, number) == ("cuda", 0)
        sizes.append(len(images))
        return in_cpu["ortvalue_from_numpy"](images.copy(), "cpu", 0)

    monkeypatch.setattr(value, "ortvalue_from_numpy", of_images)
    monkeypatch.setattr(
        value,
        "ortvalue_from_shape_and_type",
        lambda shape, dtype, *_: in_cpu["ortvalue_from_shape_and_type"](shape, dtype, "cpu", 0),
    )
    own = value.numpy
    monkeypatch.setattr(value, "numpy", lambda array: own(array).copy())  # from the GPU's memory it is one
    return sizes


def test_a_size_is_recorded_when_it_comes_again_and_gives_the_same(model: bytes, made: list[int]):
    session, reference = InTheCpu(model, threads=1), OnnxRuntimeCpu(model, threads=1)
    for turn in range(4):
        images = np.ascontiguousarray(sample().images[5 * turn :][:5])
        for name, found, expected in zip(
            OUTPUTS, session.run(images, OUTPUTS), reference.run(images, OUTPUTS), strict=True
        ):
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert found.dtype == expected.dtype
        assert made == ([5] if turn else [])
    kept = session.run(images_of(5), ["purified"])[0]
    before = kept.copy()
    session.run(np.ascontiguousarray(sample().images[5:10]), ["purified"])
    np.testing.assert_array_equal(kept, before)  # one call's arrays are its own


def test_more_sizes_than_are_kept_run_without_one(model: bytes, made: list[int], monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "_KEPT_SIZES", 2)
    session = InTheCpu(model, threads=1)
    for rows in (1, 2, 3) * 3:
        assert len(session.run(images_of(rows), ["probabilities"])[0]) == rows
    assert made == [1, 2]


def test_sizes_met_once_leave_room_for_those_that_come_again(model: bytes, made: list[int], monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "_KEPT_SIZES", 2)
    session = InTheCpu(model, threads=1)
    for rows in (1, 2, 3, 4, 5, 5):
        session.run(images_of(rows), ["probabilities"])
    assert made == [5]


def test_sessions_are_opened_and_run_on_one_thread(model: bytes, made: list[int], monkeypatch):
    """ONNX Runtime records for each thread anew, and frees none of it."""
    here: list[threading.Thread] = []

    def watched(name: str) -> None:
        whole = getattr(onnxruntime.InferenceSession, name)

        def call(*arguments, **settings):
            here.append(threading.current_thread())
            return whole(*arguments, **settings)

        monkeypatch.setattr(onnxruntime.InferenceSession, name, call)

    for name in ("__init__", "run", "run_with_iobinding"):
        watched(name)
    sessions, images = [InTheCpu(model, threads=1) for _ in range(2)], images_of(3)
    with ThreadPoolExecutor(4, thread_name_prefix="pixelproof-gpu") as pool:  # a name proves nothing
        list(pool.map(lambda turn: sessions[turn % 2].run(images, ["probabilities"]), range(20)))
    sessions[0].split(images)
    sessions[0].evaluate({"images": images}, ["probabilities"])
    assert (len(here), len(set(here))) == (2 + 20 + 2, 1)
    assert here[0] is not threading.current_thread()


def test_tensorrts_provider_takes_no_part_in_it(monkeypatch):
    """Its first session builds an engine for minutes."""
    assert not OnnxRuntimeTensorRt.records
    opened = []
    monkeypatch.setattr(OnnxRuntimeCpu, "__init__", lambda *_, **__: opened.append(threading.current_thread()))
    OnnxRuntimeTensorRt(b"", size=None, threads=None)
    assert opened == [threading.current_thread()]


def test_each_size_has_a_recording_of_its_own(model: bytes, made: list[int], monkeypatch):
    asked = []
    run, replay = onnxruntime.InferenceSession.run, onnxruntime.InferenceSession.run_with_iobinding

    def number(options) -> str:
        return options.get_run_config_entry("gpu_graph_id")

    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run",
        lambda session, outputs, given, options: asked.append(number(options)) or run(session, outputs, given, options),
    )
    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run_with_iobinding",
        lambda session, binding, options: asked.append(number(options)) or replay(session, binding, options),
    )
    session = InTheCpu(model, threads=1)
    for rows in (3, 3, 5, 5, 3):
        session.run(images_of(rows), ["probabilities"])
    assert asked == ["-1", "3", "-1", "5", "3"]


def test_sizes_are_not_remembered_for_ever(model: bytes, made: list[int], monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "_MET_SIZES", 2)
    session = InTheCpu(model, threads=1)
    for rows in (1, 2, 3, 1, 3):
        session.run(images_of(rows), ["probabilities"])
    assert made == [3]


@pytest.mark.parametrize("last", ["threading.Thread(target=serve).start()", "atexit.register(serve)"])
def test_it_serves_until_the_process_ends(last: str):
    program = f"""
import atexit, threading
from pixelproof.runtime.backends.gpu_thread import on_gpu_thread
def serve():
    if threading.current_thread() is not threading.main_thread():
        threading.main_thread().join()
    print(on_gpu_thread(lambda: 7))
on_gpu_thread(lambda: 0)
{last}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "7\n"


def test_what_is_raised_there_is_the_callers():
    with pytest.raises(KeyError, match="why"):
        on_gpu_thread(lambda: {}["why"])
    assert on_gpu_thread(lambda: on_gpu_thread(lambda: 5)) == 5


def test_purifying_alone_records_as_the_whole_does(lenet_gated_bundle: Path, made: list[int], monkeypatch):
    monkeypatch.setitem(
        BACKENDS,
        "cuda",
        replace(
            BACKENDS["cuda"], open=lambda source, threads: InTheCpu(source.model, threads=threads, like=source.like)
        ),
    )
    images = sample().images[:3]
    for graphs in (False, True):
        with Pipeline(lenet_gated_bundle, backend="cuda") as pipeline:
            pipeline.session.graphs = graphs
            for _ in range(3):
                pipeline.purify(images)
        assert made == ([3] if graphs else [])


def test_a_child_of_a_fork_has_its_own_thread():
    program = """
import os
from pixelproof.runtime.backends.gpu_thread import on_gpu_thread
assert on_gpu_thread(lambda: 1) == 1
child = os.fork()
if child == 0:
    os._exit(on_gpu_thread(lambda: 7))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_session_that_is_closed_meanwhile_answers_as_before(model: bytes, made: list[int]):
    session, images = InTheCpu(model, threads=1), images_of(3)
    expected = [session.run(images, ["probabilities"])[0] for _ in range(2)]
    session.close()
    for rows in (3, 2, 2):
        found = session.run(np.ascontiguousarray(images[:rows]), ["probabilities"])[0]
        np.testing.assert_allclose(found, expected[0][:rows], atol=1e-6)
    assert made == [3]  # one recording a size, and no other after it


def test_eight_threads_at_once_get_their_own_answers(model: bytes, made: list[int]):
    session = InTheCpu(model, threads=1)
    batches = [np.ascontiguousarray(sample().images[start : start + 4]) for start in range(0, 128, 4)]
    expected = [session.run(batch, ["probabilities"])[0] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: session.run(batch, ["probabilities"])[0], batches))
    np.testing.assert_array_equal(found, expected)
    assert made == [4]


def test_a_recording_that_cannot_be_made_is_done_without(model: bytes, made: list[int], monkeypatch):
    tried = []
    monkeypatch.setattr(Recording, "run", lambda *_: tried.append(1) or (_ for _ in ()).throw(BackendError("memory")))
    session, images = InTheCpu(model, threads=1), images_of(3)
    first, *others = (session.run(images, ["probabilities"])[0] for _ in range(5))
    for other in others:
        np.testing.assert_array_equal(other, first)
    assert (session.graphs, len(tried)) == (False, 1)


def test_without_memory_for_its_buffers_none_is_made(model: bytes, made: list[int], monkeypatch):
    session, images = InTheCpu(model, threads=1), images_of(3)
    monkeypatch.setattr(
        onnxruntime.OrtValue,
        "ortvalue_from_numpy",
        lambda *_: (_ for _ in ()).throw(RuntimeError("Failed to allocate memory for requested buffer")),
    )
    first, second = (session.run(images, ["probabilities"])[0] for _ in range(2))
    np.testing.assert_array_equal(second, first)
    assert not session.graphs


def test_one_that_was_made_and_fails_is_an_error(model: bytes, made: list[int], monkeypatch):
    session, images = InTheCpu(model, threads=1), images_of(3)
    for _ in range(2):
        session.run(images, ["probabilities"])
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "run_with_iobinding", lambda *_: (_ for _ in ()).throw(RuntimeError("gone"))
    )
    with pytest.raises(BackendError, match=r"failed on a recorded batch: gone. Next: pixelproof doctor"):
        session.run(images, ["probabilities"])


def test_the_parts_of_a_batch_are_timed_once_it_is_recorded(model: bytes, made: list[int]):
    session, images = InTheCpu(model, threads=1), images_of(3)
    with pytest.raises(BackendError, match="a batch of 3 is not recorded"):
        session.split(images)
    assert min(session.split(images)) > 0


def test_a_graph_that_cannot_be_recorded_opens_without(model: bytes, made: list[int], monkeypatch):
    whole = onnxruntime.InferenceSession
    tried: list[int] = []

    def session(*arguments, **settings):
        tried.append(1)
        if len(tried) == 1:
            raise RuntimeError("the model has control flow nodes which can't be supported by graph capture")
        return whole(*arguments, **settings)

    monkeypatch.setattr(InTheCpu, "_prepare", lambda *_: [(PROVIDER, {})])
    monkeypatch.setattr(onnxruntime_cuda, "EXACT", {})
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    opened, images = InTheCpu(model, threads=1), images_of(3)
    for _ in range(3):
        assert len(opened.run(images, ["probabilities"])[0]) == 3
    assert (len(tried), made, opened.records) == (2, [], False)

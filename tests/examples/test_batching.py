"""The example of an asyncio service: right answers, batches, no waiting beyond the budget, faults kept apart."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

PATH = Path(__file__).parents[2] / "examples" / "batching.py"


@pytest.fixture(scope="module")
def example(load_example) -> ModuleType:
    module: ModuleType = load_example("batching")
    return module


def test_each_request_gets_its_own_answer_from_a_shared_batch(example, lenet_median_bundle: Path):
    images = sample().images[:40]

    async def ask() -> list:
        async with example.Batcher(pipeline, largest=16, wait_ms=200) as batcher:
            return await asyncio.gather(*(batcher.classify(image) for image in images))

    with Pipeline(lenet_median_bundle) as pipeline:
        expected = pipeline(images)
        answers = asyncio.run(ask())
    assert [answer.label for answer in answers] == expected.labels.tolist()
    np.testing.assert_allclose([answer.suspicion for answer in answers], expected.suspicion, atol=1e-6)
    assert [answer.batch for answer in answers] == [16] * 32 + [8] * 8


def test_a_lone_request_does_not_wait_for_a_full_batch(example, lenet_median_bundle: Path):
    async def ask():
        async with example.Batcher(pipeline, largest=64, wait_ms=1) as batcher:
            return await batcher.classify(sample().images[0])

    with Pipeline(lenet_median_bundle) as pipeline:
        started = time.monotonic()
        assert asyncio.run(ask()).batch == 1
        assert time.monotonic() - started < 5


class StandIn:
    """The pipeline, slow, and with a fault in its first call if asked for."""

    def __init__(self, pipeline: Pipeline, *, seconds: float = 0, fault: Exception | None = None) -> None:
        self.pipeline, self.seconds, self.fault, self.image_size = pipeline, seconds, fault, pipeline.image_size

    def __call__(self, images: np.ndarray):
        time.sleep(self.seconds)
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return self.pipeline(images)


def test_a_fault_reaches_those_who_asked_and_the_service_goes_on(example, lenet_median_bundle: Path):
    async def ask():
        async with example.Batcher(StandIn(pipeline, fault=OSError("out of memory")), wait_ms=200) as batcher:
            for answer in await asyncio.gather(*map(batcher.classify, images), return_exceptions=True):
                assert isinstance(answer, OSError)
            return await asyncio.gather(*map(batcher.classify, images))

    images = sample().images[:3]
    with Pipeline(lenet_median_bundle) as pipeline:
        assert [answer.label for answer in asyncio.run(ask())] == pipeline(images).labels.tolist()


@pytest.mark.parametrize("faulty", [np.zeros((8, 8, 3), np.uint8), np.zeros((32, 32, 3), np.float32)])
def test_a_faulty_image_spoils_no_other_of_its_batch(example, lenet_median_bundle: Path, faulty: np.ndarray):
    async def ask():
        async with example.Batcher(pipeline, wait_ms=200) as batcher:
            sent = [sample().images[0], faulty, sample().images[1]]
            return await asyncio.gather(*map(batcher.classify, sent), return_exceptions=True)

    with Pipeline(lenet_median_bundle) as pipeline:
        first, refused, second = asyncio.run(ask())
        assert [first.label, second.label] == pipeline(sample().images[:2]).labels.tolist()
    assert isinstance(refused, ValueError)
    assert f"{faulty.dtype} {faulty.shape}" in str(refused)
    assert [first.batch, second.batch] == [2, 2]


def test_requests_under_way_end_with_the_service(example, lenet_median_bundle: Path):
    async def ask():
        async with example.Batcher(StandIn(pipeline, seconds=0.5), wait_ms=0) as batcher:
            asked = [asyncio.create_task(batcher.classify(image)) for image in sample().images[:128]]
            await asyncio.sleep(0.1)  # the first batch is being classified, the second waits
        ended = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)
        with pytest.raises(RuntimeError, match="has ended"):
            await batcher.classify(sample().images[0])
        return ended

    with Pipeline(lenet_median_bundle) as pipeline:
        answers = asyncio.run(ask())
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


@pytest.mark.parametrize("turns", range(5))
def test_the_service_ends_while_it_waits_for_others(example, lenet_median_bundle: Path, turns: int):
    async def ask() -> None:
        async with example.Batcher(pipeline, wait_ms=60_000) as batcher:
            asked = asyncio.create_task(batcher.classify(sample().images[0]))
            for _ in range(turns):  # of the event loop: the end falls on each step of taking a request in
                await asyncio.sleep(0)
        with pytest.raises((asyncio.CancelledError, RuntimeError)):
            await asked

    async def within() -> None:
        await asyncio.wait_for(ask(), 20)

    with Pipeline(lenet_median_bundle) as pipeline:
        asyncio.run(within())


def test_it_runs_as_it_is_shown(lenet_median_bundle: Path):
    done = subprocess.run(
        [sys.executable, str(PATH), str(lenet_median_bundle), "50"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 requests: median ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage: python examples/batching.py BUNDLE [REQUESTS]"),
        (["bundle", "0"], 2, "usage: "),
        (["bundle", "many"], 2, "usage: "),
        (["bundle", "1", "2"], 2, "usage: "),
        (["nowhere"], 1, "there is no bundle 'nowhere'"),
    ],
    ids=str,
)
def test_a_wrong_command_is_one_line(tmp_path: Path, arguments: list[str], code: int, message: str):
    command = [sys.executable, str(PATH), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1

"""Batches the requests of an asyncio service within a latency budget.

    python examples/batching.py resnet-gated 1000

A request waits for others until its share of the budget is spent or a batch is full; then one call answers them all. On
a busy service a batch fills at once and nobody waits; on an idle one a request waits for `wait_ms` at most.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import PixelproofError, UsageError
from pixelproof.runtime import Pipeline


@dataclass(frozen=True)
class Answer:
    """What one request gets."""

    label: int
    probability: float
    suspicion: float
    batch: int
    """Images that were classified in the same call."""


class Batcher:
    """Answers single images from a pipeline's batches; use it in an `async with`.

    Args:
        pipeline: the bundle; its calls release the interpreter, so that they run in a thread beside the event loop.
        largest: images a call at most.
        wait_ms: milliseconds that a request may wait for others.
    """

    def __init__(self, pipeline: Pipeline, *, largest: int = 64, wait_ms: float = 5.0) -> None:
        self._pipeline, self._largest, self._wait_s = pipeline, largest, wait_ms / 1000
        self._waiting: list[tuple[NDArray[np.uint8], asyncio.Future[Answer]]] = []
        self._arrived = asyncio.Event()
        self._open = False

    async def __aenter__(self) -> "Batcher":
        self._open = True
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        for _, answer in self._waiting:
            answer.cancel()

    async def classify(self, image: NDArray[np.uint8]) -> Answer:
        """The answer for one image, uint8 `(H, W, 3)`; a `ValueError`, before it joins a batch, for any other."""
        expected = (*self._pipeline.image_size, 3)
        if not isinstance(image, np.ndarray) or image.shape != expected or image.dtype != np.uint8:
            got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"expected a uint8 image of shape {expected}, got {got}")
        if not self._open:
            raise RuntimeError("the service has ended, or has not begun: use it in an async with")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((image, answer))
        self._arrived.set()
        return await answer

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            until = time.monotonic() + self._wait_s
            while len(self._waiting) < self._largest and (left := until - time.monotonic()) > 0:
                self._arrived.clear()
                try:
                    async with asyncio.timeout(left):
                        await self._arrived.wait()
                except TimeoutError:
                    break
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            if not self._waiting:
                self._arrived.clear()
            await self._answer([request for request in batch if not request[1].cancelled()])

    async def _answer(self, requests: list[tuple[NDArray[np.uint8], "asyncio.Future[Answer]"]]) -> None:
        if not requests:
            return
        try:
            images = np.stack([image for image, _ in requests])
            result = await asyncio.to_thread(self._pipeline, images)
        except asyncio.CancelledError:
            for _, answer in requests:
                answer.cancel()
            raise
        except Exception as error:  # the service goes on
            for _, answer in requests:
                if not answer.done():
                    answer.set_exception(error)
            return
        suspicion = result.suspicion if result.suspicion is not None else np.zeros(len(requests))
        for row, (_, answer) in enumerate(requests):
            if not answer.done():
                label = int(result.labels[row])
                told = Answer(label, float(result.probabilities[row, label]), float(suspicion[row]), len(requests))
                answer.set_result(told)


async def main(bundle: Path, requests: int) -> None:
    """Send so many requests, a new one every millisecond, and say how long they took."""
    times: list[float] = []
    batches: list[int] = []

    async def ask(batcher: Batcher, image: NDArray[np.uint8]) -> None:
        started = time.perf_counter()
        answer = await batcher.classify(image)
        times.append((time.perf_counter() - started) * 1000)
        batches.append(answer.batch)

    with Pipeline(bundle) as pipeline:
        height, width = pipeline.image_size
        images = np.random.default_rng(0).integers(0, 256, (64, height, width, 3), np.uint8)
        async with Batcher(pipeline) as batcher, asyncio.TaskGroup() as group:
            for number in range(requests):
                group.create_task(ask(batcher, images[number % len(images)]))
                await asyncio.sleep(0.001)
    median, p99 = np.percentile(times, [50, 99])
    print(f"{requests} requests: median {median:.1f} ms, p99 {p99:.1f} ms, mean batch {np.mean(batches):.1f}")


def parsed(arguments: list[str]) -> tuple[Path, int]:
    """The bundle and the number of requests that a command line asks for; `UsageError` for any other."""
    match arguments:
        case [bundle]:
            return Path(bundle), 1000
        case [bundle, requests] if requests.isdecimal() and int(requests) > 0:
            return Path(bundle), int(requests)
    raise UsageError("usage: python examples/batching.py BUNDLE [REQUESTS], a bundle's folder and a number above 0")


if __name__ == "__main__":
    try:
        asyncio.run(main(*parsed(sys.argv[1:])))
    except PixelproofError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit("interrupted")

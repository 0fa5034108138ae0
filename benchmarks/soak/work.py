"""The process that a soak watches: it works on a bundle over and over, and tells its memory now and then."""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from pixelproof.benchmarks.process_memory import memory_is_told, resident_mib
from pixelproof.runtime import Pipeline

SAMPLES = 40
"""How often memory is told."""
BATCH = 256


def rounds(bundle: str, backend: str, threads: int | None, count: int) -> None:
    """Open the bundle, run one image, and close it, `count` times."""

    def once(_: int) -> int:
        with Pipeline(bundle, backend=backend, threads=threads) as pipeline:
            pipeline(np.zeros((1, *pipeline.image_size, 3), np.uint8))
        return 1

    _repeat(once, count)


def images(bundle: str, backend: str, threads: int | None, count: int) -> None:
    """Run `count` random images, in batches of `BATCH` and now and then fewer."""
    draw = np.random.default_rng(0)
    with Pipeline(bundle, backend=backend, threads=threads) as pipeline:
        content = draw.integers(0, 256, (BATCH, *pipeline.image_size, 3), np.uint8)

        def once(left: int) -> int:
            rows = min(left, BATCH if draw.random() < 0.9 else int(draw.integers(1, BATCH)))
            return len(pipeline(content[:rows]).labels)

        _repeat(once, count)


def _repeat(once: Callable[[int], int], count: int) -> None:
    """Call `once` with what is left until it has done `count`; a line of JSON at each sample."""
    started, done, told = time.perf_counter(), 0, 0
    while done < count:
        done += once(count - done)
        if done * SAMPLES >= (told + 1) * count:
            told = done * SAMPLES // count
            memory = resident_mib() if memory_is_told() else None
            print(json.dumps([done, time.perf_counter() - started, memory]), flush=True)


WORK = {"rounds": rounds, "images": images}

if __name__ == "__main__":
    WORK[sys.argv[1]](*json.loads(sys.argv[2]))

"""Peak memory of one way of running a bundle, measured in a process that does nothing else (Linux)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelproof.benchmarks.latency_on_gpu import ON_GPU
from pixelproof.benchmarks.latency_ways import WAYS, Setting, Way
from pixelproof.benchmarks.process_memory import child_says, memory_is_told, peak_mib
from pixelproof.runtime import read_bundle

_RUNS = 3
_ALL = (*WAYS, *ON_GPU)


def peak_memory(way: Way, setting: Setting, batches: Sequence[int]) -> dict[int, float]:
    """The largest resident set, in MiB, by batch size; empty where the system does not tell it, or the process fails.

    The batches are run in ascending order in one process, so each figure holds for all batches up to that size. It
    includes the interpreter and the libraries.
    """
    if not memory_is_told():
        return {}
    task = [_ALL.index(way), str(setting.bundle), setting.backend, setting.threads, sorted(batches)]
    told = child_says(f"'{way.__name__}'", ["-m", "pixelproof.benchmarks.latency_memory", json.dumps(task)])
    return {} if told is None else {int(batch): mib for batch, mib in json.loads(told).items()}


def _measure(task: str) -> dict[int, float]:
    index, bundle, backend, threads, batches = json.loads(task)
    setting = Setting(Path(bundle), read_bundle(Path(bundle)).manifest, backend, threads)
    height, width = setting.manifest["image_size"]
    peaks = {}
    with _ALL[index](setting) as contender:
        for batch in batches:
            images = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
            for _ in range(_RUNS):
                contender.run(images)
            peaks[batch] = peak_mib()
    return peaks


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1])))

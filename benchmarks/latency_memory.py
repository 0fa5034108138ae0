"""Peak memory of one way of running a bundle, measured in a process that does nothing else (Linux)."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelproof.benchmarks.latency_on_gpu import ON_GPU
from pixelproof.benchmarks.latency_ways import WAYS, Setting, Way
from pixelproof.runtime import read_bundle

STATUS = Path("/proc/self/status")
"""Where Linux tells the largest resident set."""
_RUNS = 3
_ALL = (*WAYS, *ON_GPU)


def peak_memory(way: Way, setting: Setting, batches: Sequence[int]) -> dict[int, float]:
    """The largest resident set, in MiB, by batch size; empty where the system does not tell it.

    The batches are run in ascending order in one process, so each figure holds for all batches up to that size. It
    includes the interpreter and the libraries.
    """
    if not STATUS.exists():
        return {}
    task = [_ALL.index(way), str(setting.bundle), setting.backend, setting.threads, sorted(batches)]
    command = [sys.executable, "-m", "pixelproof.benchmarks.latency_memory", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {int(batch): mib for batch, mib in json.loads(done.stdout).items()} if done.returncode == 0 else {}


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
            peaks[batch] = high_water_mib()
    return peaks


def high_water_mib() -> float:
    """The largest resident set of this process so far, in MiB; only where there is `STATUS`."""
    # getrusage's figure would not do: it starts from that of the process that this one was forked from
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1])))

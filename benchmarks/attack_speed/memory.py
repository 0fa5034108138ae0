"""Peak memory of one attack, measured in a process that does nothing else (Linux)."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.pytorch_threads import pytorch_threads
from pixelproof.benchmarks.attack_speed.contenders import CONTENDERS, Make
from pixelproof.benchmarks.attack_speed.peers import Budget
from pixelproof.benchmarks.attack_speed.target import Target
from pixelproof.benchmarks.process_memory import child_says, memory_is_told, peak_mib


def peak_memory(make: Make, target: Target, budget: Budget, image: NDArray[np.uint8], label: int) -> float | None:
    """The largest resident set of an attack on `image` `(H, W, 3)`, in MiB, interpreter and libraries included.

    None where the system does not tell it, or the process fails.
    """
    if not memory_is_told():
        return None
    task = [CONTENDERS.index(make), str(target.bundle), target.threads, asdict(budget), image.tolist(), label]
    told = child_says(f"'{make.__name__}'", ["-c", f"from {__name__} import main; main()"], json.dumps(task))
    return None if told is None else float(told)


def main() -> None:
    """The measuring process: a task on stdin, MiB on stdout."""
    index, bundle, threads, budget, image, label = json.load(sys.stdin)
    target = Target(Path(bundle), threads)
    contender = CONTENDERS[index](target, Budget(**budget))
    with pytorch_threads(threads, purpose="comparing attacks"):
        contender.attack(np.array(image, np.uint8), label)
    target.close()
    print(peak_mib())

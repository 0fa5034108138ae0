"""A shipped classifier in bfloat16, in PyTorch: what a CPU with AMX computes fastest."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from pixelproof.attack.batches import in_batches
from pixelproof.benchmarks.defence.half_precision import can_compile, half_precision
from pixelproof.benchmarks.pytorch_threads import pytorch_threads
from pixelproof.benchmarks.screening.cheap import Cheap
from pixelproof.models import build_classifier

_ROWS = 64  # a batch; larger ones leave the cache, and DenseNet takes up to twice as long


@contextmanager
def open_bfloat16(classifier: str, threads: int | None) -> Iterator[Cheap]:
    """The shipped `classifier` in bfloat16, compiled where this machine has a C++ compiler; fast where it has AMX.

    Meanwhile PyTorch uses so many `threads`. The first call compiles: seconds, for DenseNet a minute.
    """
    with pytorch_threads(threads, purpose="a screen in bfloat16"):
        network = build_classifier(classifier)
        classify = half_precision(network, None, "cpu", dtype=torch.bfloat16, compiled=can_compile("cpu"))

        def of_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            probabilities: NDArray[np.float32] = classify(torch.from_numpy(images)).numpy()
            return probabilities

        def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.no_grad():
                return in_batches(of_batch, images, _ROWS)

        yield Cheap("the same in bfloat16", predict)

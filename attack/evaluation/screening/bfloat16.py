"""A shipped classifier in bfloat16, in PyTorch, for CPUs with instructions for it (AMX, AVX-512 BF16)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pixelproof.attack.evaluation.half_precision import half_precision
from pixelproof.attack.evaluation.pytorch_threads import pytorch_threads
from pixelproof.attack.evaluation.screening.cheap import Cheap
from pixelproof.attack.evaluation.victims import Predict
from pixelproof.attack.search.batches import in_batches
from pixelproof.models import build_classifier
from pixelproof.runtime import Pipeline

_log = logging.getLogger("pixelproof")

_ROWS = 64  # a batch; larger ones leave the cache, and DenseNet takes up to twice as long


@contextmanager
def open_bfloat16(classifier: Pipeline) -> Iterator[Cheap]:
    """The shipped network that `classifier` runs, in bfloat16; fast where the CPU has instructions for that.

    It is compiled where that can be: that takes seconds, and for DenseNet a minute. Meanwhile PyTorch uses as many CPU
    threads as `classifier`.
    """
    with pytorch_threads(classifier.threads, purpose="a screen in bfloat16"):
        network = build_classifier(classifier.manifest["classifier"]["name"])
        shape = (_ROWS, *classifier.image_size, 3)
        yield Cheap("the same in bfloat16", _compiled(network, shape) or _plain(network))


def _plain(network: nn.Module, *, compiled: bool = False) -> Predict:
    classify = half_precision(network, None, "cpu", dtype=torch.bfloat16, compiled=compiled)

    def of_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = classify(torch.from_numpy(images)).numpy()
        return probabilities

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            return in_batches(of_batch, images, _ROWS)

    return predict


def _compiled(network: nn.Module, shape: tuple[int, ...]) -> Predict | None:
    """The same compiled, for batches of that shape; None where this machine cannot."""
    try:
        predict = _plain(network, compiled=True)
        predict(np.zeros(shape, np.uint8))  # now rather than on a search's clock
    except RuntimeError as error:
        first_line = str(error).partition("\n")[0]
        _log.warning("PyTorch could not compile the screen, which is slower as it is: %s", first_line)
        return None
    return predict

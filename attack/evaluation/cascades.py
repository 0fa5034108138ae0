"""Cascades: a cheaper network, the same classifier in lower precision, leaves out what it is sure of."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import Prefiltered
from pixelproof.attack.evaluation.half_precision import half_precision, pytorch_threads
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim
from pixelproof.attack.search.candidates import Canvas, in_batches
from pixelproof.deprecation import moved
from pixelproof.errors import UsageError, missing_extra, unknown_name
from pixelproof.models import build_classifier, is_shipped
from pixelproof.models.data import training_sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

if TYPE_CHECKING:
    from torch import nn

_log = logging.getLogger("pixelproof")
_ROWS = 64  # a batch; larger ones leave the cache, and DenseNet takes up to twice as long
_CHANGED = 3  # times that each calibration image is shown with a changed pixel
BehindCascade = Callable[[Victim, Predict], Victim]
"""A victim and its `predict` as deployed to the victim behind a cascade."""


@dataclass(frozen=True)
class Cheap:
    """A classifier in lower precision.

    Attributes:
        identity: what the records of a search in this cascade depend on.
        predict: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`.
    """

    identity: str
    predict: Predict


@dataclass(frozen=True)
class Cascade:
    """A way to make a classifier cheaper.

    Attributes:
        margin: in nats; see `Prefiltered`. Above the cheap network's error at candidates that change the label.
        open: makes it, of a bundle's bare classifier with the shipped weights, for as many CPU threads a call.
    """

    margin: float
    open: Callable[[Pipeline], AbstractContextManager[Cheap]]


def check_cascade(name: str | None, classifier: Pipeline, pixels: int = 1) -> None:
    """Refuse a cascade that does not exist, or that the search has no use for.

    Args:
        name: one of `CASCADES`; None for no cascade, which is never refused.
        classifier: a bundle, or its bare classifier.
        pixels: that the search may change.

    Raises:
        UsageError: no such cascade, more than one pixel, or a classifier that is not a shipped one in float32: the
            cheaper network is made of that.
        PixelproofError: the extra `export` is not installed.
    """
    if name is None:
        return
    try:
        import onnx  # noqa: F401  (what makes the cheaper network)
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "PyTorch", "export", "a cascade") from None
    if name not in CASCADES:
        raise unknown_name("cascade", name, CASCADES, "choose one with --cascade NAME")
    if pixels > 1:
        raise UsageError(
            f"a cascade was validated for one pixel, got {pixels}. Next: leave out --cascade, or --pixels 1"
        )
    made_of, precision = classifier.manifest["classifier"], classifier.manifest["precision"]
    if not is_shipped(made_of) or precision != "fp32":
        raise UsageError(
            f"classifier '{made_of['name']}' in {precision} has no cascade: only shipped weights in fp32 have. "
            "Next: leave out --cascade, or export a shipped classifier"
        )


@contextmanager
def open_cascade(name: str | None, classifier: Pipeline) -> Iterator[BehindCascade]:
    """What puts a victim behind the cascade `name`, and leaves the victim as it is where that is None.

    Records of searches in a cascade are kept apart from those of full searches.

    Args:
        name: one of `CASCADES`, or None.
        classifier: the bare one of a bundle; the victim's may stand behind a purifier.

    Raises:
        UsageError, PixelproofError: as for `check_cascade`.
        ExportError: int8 costs it more than five points of accuracy.
    """
    if name is None:
        yield lambda victim, _: victim
        return
    check_cascade(name, classifier)
    cascade = CASCADES[name]
    with cascade.open(classifier) as cheap:

        def behind(victim: Victim, deployed: Predict) -> Victim:
            predict = Prefiltered(deployed, victim.around(cheap.predict), margin=cascade.margin, batch_size=BATCH_SIZE)
            identity = f"{victim.identity}, screened by {cheap.identity} at {cascade.margin} nats"
            return replace(victim, predict=predict, identity=identity)

        yield behind


@contextmanager
def open_bfloat16(classifier: Pipeline) -> Iterator[Cheap]:
    """The shipped network that `classifier` runs, in bfloat16; fast where the CPU has instructions for that.

    It is compiled where that can be: that takes seconds, and for DenseNet a minute. Meanwhile PyTorch uses as many CPU
    threads as `classifier`.
    """
    with pytorch_threads(classifier.threads, purpose="a cascade in bfloat16"):
        network = build_classifier(classifier.manifest["classifier"]["name"])
        shape = (_ROWS, *classifier.image_size, 3)
        yield Cheap("the same in bfloat16", _compiled(network, shape) or _plain(network))


def _plain(network: "nn.Module", *, compiled: bool = False) -> Predict:
    classify = half_precision(network, None, "cpu", dtype="bfloat16", compiled=compiled)

    def of_batch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        probabilities: NDArray[np.float32] = classify(torch.from_numpy(images)).numpy()
        return probabilities

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            return in_batches(of_batch, images, _ROWS)

    return predict


def _compiled(network: "nn.Module", shape: tuple[int, ...]) -> Predict | None:
    """The same compiled, for batches of that shape; None where this machine cannot."""
    try:
        predict = _plain(network, compiled=True)
        predict(np.zeros(shape, np.uint8))  # now rather than on a search's clock
    except RuntimeError as error:
        first_line = str(error).partition("\n")[0]
        _log.warning("PyTorch could not compile the cascade, which is slower as it is: %s", first_line)
        return None
    return predict


@contextmanager
def open_int8(classifier: Pipeline) -> Iterator[Cheap]:
    """The shipped network that `classifier` runs, in int8, made to judge candidates.

    Its scales are taken from training images with and without a pixel at a corner of the color cube: without these
    an activation that only an attack reaches is cut off, and such candidates are misjudged by several times as much.

    Raises:
        ExportError: int8 costs it more than five points of accuracy.
    """
    from pixelproof.export import export_bundle
    from pixelproof.export.own_images import Calibration

    clean, shown = training_sample().images, "CIFAR-10, 200 training images (shipped), with and without a changed pixel"
    images = np.concatenate([clean, *(_with_a_changed_pixel(clean, seed) for seed in range(_CHANGED))])
    with tempfile.TemporaryDirectory(prefix="pixelproof-") as made:
        folder = Path(made) / "int8"
        export_bundle(
            classifier.manifest["classifier"]["name"],
            folder,
            purifier="none",
            precision="int8",
            target="cpu",
            calibration=Calibration(images, shown),
            max_accuracy_drop=5.0,
        )
        with Pipeline(folder, backend="cpu", part="classifier", threads=classifier.threads) as cheap:
            yield Cheap(graph_sha256(cheap.graph), cheap.predict)


def _with_a_changed_pixel(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    positions = random.integers(0, images[0, ..., 0].size, (len(images), 1))
    corners = random.integers(0, 8, (len(images), 1, 1))
    colors = (255 * (corners >> np.arange(3) & 1)).astype(np.uint8)
    return Canvas(images, len(images)).draw(np.arange(len(images)), positions, colors)


CASCADES = {
    # the largest lead that it left a true class which had lost it: 0.70, of 3,372 on ResNet-32
    "int8": Cascade(1.0, open_int8),
    # likewise: 0.09, of 3,372 on ResNet-32
    "bf16": Cascade(0.5, open_bfloat16),
}
"""int8 is what a bundle can be deployed in; bf16 is nearer to the truth, and fast with AMX or AVX-512 BF16."""

__getattr__ = moved(
    __name__,
    {
        old: f"{__name__}:{new}"
        for old, new in {
            "SCREENS": "CASCADES",
            "Screen": "Cascade",
            "BehindScreen": "BehindCascade",
            "check_screen": "check_cascade",
            "check_screen_or_none": "check_cascade",
            "open_screen": "open_cascade",
            "screen_or_none": "open_cascade",
        }.items()
    },
)

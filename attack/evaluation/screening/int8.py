"""A shipped classifier in int8, in the bundle's runtime."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.evaluation.screening.cheap import Cheap
from pixelproof.attack.search.canvas import Canvas
from pixelproof.export import export_bundle
from pixelproof.export.filling import Calibration
from pixelproof.models.data import training_sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

_CHANGED = 3  # times that each calibration image is shown with a changed pixel


@contextmanager
def open_int8(classifier: Pipeline) -> Iterator[Cheap]:
    """The shipped network that `classifier` runs, in int8, made to judge candidates.

    Its scales are taken from training images with and without a pixel at a corner of the color cube: without these
    an activation that only an attack reaches is cut off, and such candidates are misjudged by several times as much.

    Raises:
        ExportError: int8 costs it more than five points of accuracy.
    """
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

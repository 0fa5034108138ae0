"""Screens candidates in int8, and proves on full float32 sweeps that no success is lost.

python -m pixelproof.benchmarks.screening BUNDLE -o RESULTS.json
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack.canvas import Canvas
from pixelproof.attack.colours import box_table, decode
from pixelproof.attack.screened import Screened, margins
from pixelproof.benchmarks.conditions import cpu_model, now, usable_cores
from pixelproof.benchmarks.defence.victims import BATCH_SIZE, Victim
from pixelproof.benchmarks.standalone import parser, told
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.export.filling import Calibration
from pixelproof.models import CLASSIFIERS, is_shipped
from pixelproof.models.data import sample, training_sample
from pixelproof.runtime import Pipeline

MARGIN = 1.0
"""In nats: above the largest lead that int8 left a true class which had lost it (0.70, of 3,372 on ResNet-32)."""

_SUCCESSES = 2_000
_CHANGED = 3  # times that each calibration image is shown with a changed pixel


def open_screen(classifier: str, folder: Path, *, threads: int | None = None) -> Pipeline:
    """The shipped `classifier` in int8, made to judge candidates; kept in the new `folder`.

    Its scales are taken from training images with and without a pixel at a corner of the colour cube: without these
    an activation that only an attack reaches is cut off, and such candidates are misjudged by several times as much.

    Raises:
        UsageError: no such classifier.
        ExportError: int8 costs it more than five points of accuracy.
    """
    if classifier not in CLASSIFIERS:
        raise UsageError(f"'{classifier}' is not shipped ({', '.join(CLASSIFIERS)}). Next: screen one of these")
    clean = training_sample().images
    images = np.concatenate([clean, *(_with_a_changed_pixel(clean, seed) for seed in range(_CHANGED))])
    export_bundle(
        classifier,
        folder,
        purifier="none",
        precision="int8",
        target="cpu",
        calibration=Calibration(images, "CIFAR-10, 200 training images (shipped), with and without a changed pixel"),
        max_accuracy_drop=5.0,
    )
    return Pipeline(folder, backend="cpu", part="classifier", threads=threads)


@contextmanager
def screened(victim: Victim, classifier: Pipeline) -> Iterator[Victim]:
    """The bare `classifier` with its candidates screened; its records are kept apart from those of full searches.

    Raises:
        UsageError: it has not the shipped weights, which are what int8 is made of.
        ExportError: as for `open_screen`.
    """
    name = _screenable(classifier)
    with (
        tempfile.TemporaryDirectory(prefix="pixelproof-") as made,
        open_screen(name, Path(made) / "int8", threads=classifier.threads) as cheap,
    ):
        digest = cheap.manifest["files"]["classifier.onnx"]["sha256"]
        predict = Screened(classifier.predict, cheap.predict, margin=MARGIN, batch_size=BATCH_SIZE)
        yield replace(victim, predict=predict, identity=f"{victim.identity}, screened by {digest} at {MARGIN} nats")


def prove(
    bundle: Path, *, successes: int = _SUCCESSES, margin: float = MARGIN, threads: int | None = None
) -> dict[str, Any]:
    """Sweep shipped images in float32, without stopping at a success, and see what int8 would have discarded.

    Args:
        bundle: of a shipped classifier.
        successes: candidates that change the label, after which no further image is begun.
        margin: see `Screened`.
        threads: CPU threads a call may use.

    Returns:
        How many successes there were and were lost, the largest lead that int8 left the true class at one, the share
        of all candidates discarded, and milliseconds a candidate in each precision.

    Raises:
        UsageError: no bundle of a shipped classifier.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pixelproof-") as made,
        Pipeline(bundle, backend="cpu", part="classifier", threads=threads) as real,
    ):
        name = _screenable(real)
        with open_screen(name, Path(made) / "int8", threads=threads) as cheap:
            swept = _sweep(real, cheap, successes)
    fell = swept["real"] <= 0
    return {
        "kind": "screening",
        "created": now(),
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "threads": threads,
        "classifier": name,
        "margin": margin,
        "images": swept["images"],
        "candidates": len(fell),
        "successes": int(fell.sum()),
        "lost": int((fell & (swept["cheap"] >= margin)).sum()),
        "largest_lead_at_a_success": float(swept["cheap"][fell].max()),
        "discarded": float((swept["cheap"] >= margin).mean()),
        "fp32_ms": swept["fp32_ms"],
        "int8_ms": swept["int8_ms"],
    }


def _sweep(real: Pipeline, cheap: Pipeline, successes: int) -> dict[str, Any]:
    """The leads of the true class at all corners of image after image, by each network, and each one's time."""
    leads: dict[str, list[NDArray[np.float32]]] = {"real": [], "cheap": []}
    seconds = {"real": 0.0, "cheap": 0.0}
    shown = sample()
    found = images = 0
    for image, label in zip(shown.images, shown.labels.tolist(), strict=True):
        if found >= successes:
            break
        if int(real.predict(image[None]).argmax()) != label:
            continue
        images += 1
        for batch in _corner_batches(image):
            for name, network in (("real", real), ("cheap", cheap)):
                started = time.perf_counter()
                probabilities = network.predict(batch)
                seconds[name] += time.perf_counter() - started
                leads[name].append(margins(probabilities, np.full(len(batch), label)))
            found += int((leads["real"][-1] <= 0).sum())
    joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in leads.items()}
    a_candidate = {name: 1e3 * taken / len(joined["real"]) for name, taken in seconds.items()}
    return joined | {"images": images, "fp32_ms": a_candidate["real"], "int8_ms": a_candidate["cheap"]}


def _corner_batches(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Every position of `image` `(H, W, 3)` at every corner of the colour cube."""
    colours = box_table(0, 255, 2, (1, *image.shape))(np.zeros(1, np.int64))[0]
    numbers = np.arange(colours[..., 0].size, dtype=np.int32)[:, None]
    for start in range(0, len(numbers), BATCH_SIZE):
        candidates = decode(colours, numbers[start : start + BATCH_SIZE])
        rows = len(candidates.positions)
        yield Canvas(image[None], rows).draw(np.zeros(rows, np.int64), *candidates)


def _with_a_changed_pixel(images: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    positions = random.integers(0, images[0, ..., 0].size, (len(images), 1))
    corners = random.integers(0, 8, (len(images), 1, 1))
    colours = (255 * (corners >> np.arange(3) & 1)).astype(np.uint8)
    return Canvas(images, len(images)).draw(np.arange(len(images)), positions, colours)


def _screenable(classifier: Pipeline) -> str:
    """Its name; `UsageError` where `open_screen` would make another network of that."""
    made_of = classifier.manifest["classifier"]
    name = str(made_of["name"])
    if not is_shipped(made_of):
        raise UsageError(
            f"classifier '{name}' has not the shipped weights, and only those are screened in int8. "
            "Next: leave out --screen, or export a shipped classifier"
        )
    return name


def main() -> int:
    """The command line; 0 where no success was lost."""
    line = parser(__doc__)
    line.add_argument("--successes", type=int, default=_SUCCESSES)
    line.add_argument("--margin", type=float, default=MARGIN)
    line.add_argument("--threads", type=int)
    asked = line.parse_args()
    options = {"successes": asked.successes, "margin": asked.margin, "threads": asked.threads}
    found = told(lambda: prove(asked.bundle, **options), asked.output)
    return int(found["lost"] != 0)


if __name__ == "__main__":
    sys.exit(main())

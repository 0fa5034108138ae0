"""Runs a bundle in a process of its own, as its users will: without PyTorch, in the deployed backend.

Called as `python -m pixelproof.export.replay BUNDLE IMAGES.npy RESULTS.npz`.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import PixelproofError
from pixelproof.runtime import Pipeline

BATCHES = (1, 2, 7)
"""The sizes of the first batches that the images are run in; the last takes the rest."""


def replay(bundle: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """What each part of the bundle says of `images`, uint8 `(n, H, W, 3)`: "part.field" to an array of n rows."""
    parts: tuple[Literal["pipeline", "classifier"], ...] = ("pipeline", "classifier")
    batches = np.split(images, np.cumsum(BATCHES))
    answers: dict[str, NDArray[Any]] = {}
    for part in parts:
        with Pipeline(bundle, backend="cpu", part=part) as pipeline:
            results = [dataclasses.asdict(pipeline(batch)) for batch in batches]
            answers["provider"] = np.array(pipeline.provider)
        for field in results[0]:
            if results[0][field] is not None:
                answers[f"{part}.{field}"] = np.concatenate([result[field] for result in results])
    return answers


if __name__ == "__main__":
    bundle_path, images_path, results_path = map(Path, sys.argv[1:])
    try:
        np.savez(results_path, **replay(bundle_path, np.load(images_path, allow_pickle=False)))  # type: ignore[arg-type]
    except PixelproofError as error:
        sys.exit(str(error))

"""The shipped adversarial images: of the shipped test images, those that one changed pixel makes a classifier misread.

They are kept as what was changed, one file for all classifiers, beside the SHA-256 of the weights that were attacked.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.files import write_json
from pixelproof.models.data.cifar10 import ImageSet
from pixelproof.models.data.sample import SAMPLE_FOLDER, sample

ADVERSARIAL = "adversarial.json"


def adversarial_sample(classifier: str, weights_sha256: str, folder: Path = SAMPLE_FOLDER) -> ImageSet | None:
    """The adversarial images of a shipped classifier, with their true labels; None where there are none of its weights.

    Args:
        classifier: its name.
        weights_sha256: of the weights file that it runs, as 64 hex digits.
        folder: of the sample.
    """
    known = _read(folder).get(classifier)
    if known is None or known["weights_sha256"] != weights_sha256:
        return None
    clean = sample(folder)
    changes = np.array(known["changes"], np.int64).reshape(-1, 6)
    which, rows, columns, colors = changes[:, 0], changes[:, 1], changes[:, 2], changes[:, 3:]
    images = clean.images[which]
    images[np.arange(len(which)), rows, columns] = colors
    return ImageSet(images, clean.labels[which], clean.class_names)


def is_attacked(classifier: str, weights_sha256: str, images: int | None = None, folder: Path = SAMPLE_FOLDER) -> bool:
    """Whether these weights were attacked: on the first `images` that the classifier gets right, None for all."""
    known = _read(folder).get(classifier)
    if known is None or known["weights_sha256"] != weights_sha256:
        return False
    first = known.get("first")
    return first is None or (images is not None and images <= first)


def write_adversarial_sample(
    classifier: str,
    weights_sha256: str,
    method: str,
    changes: Sequence[tuple[int, int, int, int, int, int]],
    folder: Path = SAMPLE_FOLDER,
    *,
    first: int | None = None,
) -> None:
    """Keep `changes` (sample image, row, column, red, green, blue), found by `method`, in place of older ones.

    `first`: only so many of the images that the classifier gets right were attacked, the first; None for all.
    """
    found: dict[str, Any] = {"weights_sha256": weights_sha256, "method": method}
    if first is not None:
        found["first"] = first
    found["changes"] = [list(change) for change in changes]
    write_json(folder / ADVERSARIAL, dict(sorted({**_read(folder), classifier: found}.items())))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / ADVERSARIAL
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known

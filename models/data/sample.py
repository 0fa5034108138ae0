"""The shipped sample: the first 20 test images of each class, in the test set's order and its own record format."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.errors import DataError
from pixelproof.files import write_bytes, write_json
from pixelproof.models.data.cifar10 import RECORD_NBYTES, ImageSet, decode_records

_FOLDER = Path(__file__).parent.parent / "sample"
IMAGES_A_CLASS = 20


def sample(folder: Path = _FOLDER) -> ImageSet:
    """The 200 shipped CIFAR-10 test images, 20 a class.

    Raises:
        DataError: the file is not the one that was shipped.
    """
    content = (folder / "sample.bin").read_bytes()
    expected, got = _facts(folder)["sha256"], hashlib.sha256(content).hexdigest()
    if got != expected:
        raise DataError(
            f"'{folder / 'sample.bin'}' is damaged: expected SHA-256 {expected}, got {got}. "
            "Next: install pixelproof again"
        )
    return decode_records(content, "sample.bin", len(content) // RECORD_NBYTES)


def sample_indices(folder: Path = _FOLDER) -> list[int]:
    """Where each sample image stands in the test set."""
    indices: list[int] = _facts(folder)["test_set_indices"]
    return indices


def write_sample(test: ImageSet, folder: Path, images_a_class: int = IMAGES_A_CLASS) -> None:
    """Write `sample.bin` and `sample.json`: the first `images_a_class` of each class of CIFAR-10's test set."""
    firsts = [np.flatnonzero(test.labels == label)[:images_a_class] for label in range(len(test.class_names))]
    chosen = np.sort(np.concatenate(firsts))
    planes = test.images[chosen].transpose(0, 3, 1, 2).reshape(len(chosen), -1)
    content = np.column_stack([test.labels[chosen].astype(np.uint8), planes]).tobytes()
    facts = {
        "source": f"CIFAR-10, test_batch.bin: the first {images_a_class} images of each class, in file order",
        "sha256": hashlib.sha256(content).hexdigest(),
        "test_set_indices": chosen.tolist(),
    }
    write_bytes(folder / "sample.bin", content)
    write_json(folder / "sample.json", facts)


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    return facts

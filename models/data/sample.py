"""The shipped samples, each the first 20 images of each class of a set, in its order and its own record format.

One is of the test set, to try things on; the other of the training set, to calibrate by.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from pixelproof.errors import DataError
from pixelproof.files import write_bytes, write_json
from pixelproof.models.data.cifar10 import RECORD_NBYTES, ImageSet, decode_records

SAMPLE_FOLDER = Path(__file__).parent.parent / "sample"
IMAGES_A_CLASS = 20


def sample(folder: Path = SAMPLE_FOLDER) -> ImageSet:
    """The 200 shipped CIFAR-10 test images, 20 a class.

    Raises:
        DataError: the file is not the one that was shipped.
    """
    return _read(folder, "sample")


def training_sample(folder: Path = SAMPLE_FOLDER) -> ImageSet:
    """The 200 shipped CIFAR-10 training images, 20 a class; errors as for `sample`."""
    return _read(folder, "training")


def sample_indices(folder: Path = SAMPLE_FOLDER) -> list[int]:
    """Where each sample image stands in the test set."""
    indices: list[int] = _facts(folder, "sample")["test_set_indices"]
    return indices


def sample_files() -> tuple[str, ...]:
    """What each sample image is called as a file: its place in the test set, and its class."""
    images = sample()
    names = (images.class_names[label] for label in images.labels)
    return tuple(f"{index:04d}-{name}.png" for index, name in zip(sample_indices(), names, strict=True))


def write_sample(
    images: ImageSet, folder: Path, images_a_class: int = IMAGES_A_CLASS, *, training: bool = False
) -> None:
    """Write `sample.bin` and `sample.json`: the first `images_a_class` of each class of CIFAR-10's test set.

    With `training`, `training.bin` and `training.json`, of its training set.
    """
    name, of, files = "sample", "test", "test_batch.bin"
    if training:
        name, of, files = "training", "training", "data_batch_1.bin to data_batch_5.bin"
    firsts = [np.flatnonzero(images.labels == label)[:images_a_class] for label in range(len(images.class_names))]
    chosen = np.sort(np.concatenate(firsts))
    planes = images.images[chosen].transpose(0, 3, 1, 2).reshape(len(chosen), -1)
    content = np.column_stack([images.labels[chosen].astype(np.uint8), planes]).tobytes()
    facts = {
        "source": f"CIFAR-10, {files}: the first {images_a_class} images of each class, in file order",
        "sha256": hashlib.sha256(content).hexdigest(),
        f"{of}_set_indices": chosen.tolist(),
    }
    write_bytes(folder / f"{name}.bin", content)
    write_json(folder / f"{name}.json", facts)


def _read(folder: Path, name: str) -> ImageSet:
    file = f"{name}.bin"
    content = (folder / file).read_bytes()
    expected, got = _facts(folder, name)["sha256"], hashlib.sha256(content).hexdigest()
    if got != expected:
        raise DataError(
            f"'{folder / file}' is damaged: expected SHA-256 {expected}, got {got}. Next: install pixelproof again"
        )
    return decode_records(content, file, len(content) // RECORD_NBYTES)


def _facts(folder: Path, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return facts

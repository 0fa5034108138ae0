"""The shipped sample: the first 20 test images of each class, in the test set's order, in its own record format."""

import json
from pathlib import Path

import numpy as np

from pixelproof.files import write_bytes, write_json
from pixelproof.models.data.cifar10 import RECORD_NBYTES, ImageSet, decode_records

_FOLDER = Path(__file__).parent.parent / "sample"
IMAGES_A_CLASS = 20


def sample() -> ImageSet:
    """The 200 shipped CIFAR-10 test images, 20 a class."""
    content = (_FOLDER / "sample.bin").read_bytes()
    return decode_records(content, "sample.bin", len(content) // RECORD_NBYTES)


def sample_indices() -> list[int]:
    """Where each sample image stands in the test set."""
    indices: list[int] = json.loads((_FOLDER / "sample.json").read_text())["test_set_indices"]
    return indices


def write_sample(test: ImageSet, folder: Path, images_a_class: int = IMAGES_A_CLASS) -> None:
    """Write `sample.bin` and `sample.json` from the test set: the first `images_a_class` of each class."""
    chosen = np.sort(
        np.concatenate([np.flatnonzero(test.labels == c)[:images_a_class] for c in np.unique(test.labels)])
    )
    planes = test.images[chosen].transpose(0, 3, 1, 2).reshape(len(chosen), -1)
    write_bytes(folder / "sample.bin", np.column_stack([test.labels[chosen].astype(np.uint8), planes]).tobytes())
    write_json(folder / "sample.json", {"source": "CIFAR-10 test_batch.bin", "test_set_indices": chosen.tolist()})

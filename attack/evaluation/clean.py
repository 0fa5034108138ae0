"""Which of the images as they are a bundle gets right, asked once: on 10,000 images a large network takes minutes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError
from pixelproof.files import write_text
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

Transform = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 images `(n, H, W, 3)` to the same."""


def gets_right(
    network: Pipeline, data: ImageSet, folder: Path, behind: tuple[str, Transform] | None = None
) -> NDArray[np.bool_]:
    """Whether the network's most probable class is the label, bool `(len(data),)`; kept in `folder`.

    What is kept is of this graph, these images and labels, this execution provider, and what stands before the graph.

    Args:
        network: a bundle, or its bare classifier.
        data: the images.
        folder: beside the records of attacks.
        behind: the name of a change that images go through first, settings included, and the change.

    Raises:
        DataError: what was kept is damaged.
    """
    of = {"graph": graph_sha256(network.graph), "data": data.sha256(), "provider": network.provider}
    if behind is not None:
        of["behind"] = behind[0]
    name = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"clean-{name}.json"
    if path.exists():
        return _kept(path, of, len(data))
    shown = data.images if behind is None else behind[1](data.images)
    right: NDArray[np.bool_] = network.predict(shown).argmax(1) == data.labels
    write_text(path, json.dumps(of | {"wrong": np.flatnonzero(~right).tolist()}) + "\n")
    return right


def _kept(path: Path, of: dict[str, str], n: int) -> NDArray[np.bool_]:
    right = np.ones(n, np.bool_)
    try:
        kept = json.loads(path.read_bytes())
        wrong = np.array(kept.pop("wrong"), np.int64)
        if kept != of or (wrong < 0).any():
            raise ValueError
        right[wrong] = False
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise DataError(
            f"what was kept in '{path}' is damaged. Next: delete the file; the same command then asks the network again"
        ) from None
    return right

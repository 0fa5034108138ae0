"""Stand-in classifiers that compute a row exactly alike in any batch, and images for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass
class ExactClassifier:
    """Linear in the levels, in integers alone: the same bits for a row whatever the batch."""

    weights: NDArray[np.int64]
    """`(H, W, 3, classes)`."""
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    """Of the batches it was shown."""
    rows: int = 0

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        flat = images.reshape(len(images), -1).astype(np.int64)
        return flat @ self.weights.reshape(flat.shape[1], -1)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.shapes.add(images.shape)
        self.rows += len(images)
        scores = self.scores(images)
        above = scores - scores.min(axis=1, keepdims=True) + 1
        return (above / above.sum(axis=1, keepdims=True)).astype(np.float32)

    def labels(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        return self(images).argmax(axis=1)


@pytest.fixture
def make_classifier() -> Callable[..., ExactClassifier]:
    """`make_classifier(height, width, classes=4, seed=0)`."""

    def make(height: int, width: int, classes: int = 4, seed: int = 0) -> ExactClassifier:
        weights = np.random.default_rng(seed).integers(-9, 10, (height, width, 3, classes))
        return ExactClassifier(weights)

    return make


@pytest.fixture
def make_images() -> Callable[..., NDArray[np.uint8]]:
    """`make_images(count, height, width, seed=0)`: uint8 `(count, height, width, 3)`."""

    def make(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)

    return make

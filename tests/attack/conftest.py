"""Stand-in classifiers that compute a row exactly alike in any batch, the shipped LeNet, and images for them."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack import AttackResult
from pixelproof.attack.kernels import sources
from pixelproof.models.data import sample

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


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


@dataclass
class Recorder:
    """Passes batches on to a classifier and keeps a copy of each."""

    predict: Predict
    batches: list[NDArray[np.uint8]] = field(default_factory=list)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(images.copy())
        return self.predict(images)

    @property
    def rows(self) -> NDArray[np.uint8]:
        """Everything shown so far, in order; with batches of one row, exactly what was asked."""
        return np.concatenate(self.batches)


@dataclass
class Network:
    """An `nn.Module`, float32 `(n, 3, H, W)` on the 0..255 scale to logits, as a classifier of uint8 images."""

    module: Any

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            logits = self.module(torch.from_numpy(images).permute(0, 3, 1, 2).float())
            return logits.softmax(dim=1).numpy()


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


@pytest.fixture
def make_crops() -> Callable[..., NDArray[np.uint8]]:
    """`make_crops(count, height, width)`: the middles of as many sample images, uint8 `(count, height, width, 3)`."""

    def make(count: int, height: int, width: int) -> NDArray[np.uint8]:
        row, column = (32 - height) // 2, (32 - width) // 2
        return np.ascontiguousarray(sample().images[:count, row : row + height, column : column + width])

    return make


@pytest.fixture
def record() -> Callable[[Predict], Recorder]:
    """`record(predict)`: the same classifier, keeping what it is shown."""
    return Recorder


@pytest.fixture
def never() -> Predict:
    """A classifier that says class 0 whatever it sees, so that every search runs to its end."""
    return lambda images: np.tile(np.array([0.7, 0.2, 0.1], np.float32), (len(images), 1))


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Network]:
    """`make_network(purifier=None)`: the shipped LeNet, behind a purifier where one is given."""
    torch = pytest.importorskip("torch", reason="the shipped networks are PyTorch's")
    from pixelproof.models import build_classifier

    class Whole(torch.nn.Module):
        def __init__(self, purifier: Any) -> None:
            super().__init__()
            self.purifier = purifier or torch.nn.Identity()
            self.classifier = build_classifier("lenet")

        def forward(self, levels: Any) -> Any:
            return self.classifier(self.purifier(levels).clamp(0, 255) / 255)

    return lambda purifier=None: Network(Whole(purifier).eval())


@pytest.fixture(scope="session")
def lenet(make_network: Callable[..., Network]) -> Network:
    """The shipped LeNet."""
    return make_network()


@pytest.fixture(scope="session")
def lenet_images(lenet: Network) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The sample images that LeNet gets right, and their labels."""
    shipped = sample()
    right = lenet(shipped.images).argmax(axis=1) == shipped.labels
    return shipped.images[right], shipped.labels[right]


@pytest.fixture
def check_successes() -> Callable[..., None]:
    """`check_successes(found, images, labels, predict, batch_size, targets=None)`: each success is what it says it is.

    It differs in at most k pixels, those that are named, which have the colors that are named, and the classifier
    gets it wrong, shown it afresh in a batch of the same shape. What did not fall is handed back as it was. The
    probabilities are those of the images as they were and as they are.
    """

    def check(
        found: AttackResult,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        predict: Predict,
        batch_size: int,
        targets: NDArray[np.int64] | None = None,
    ) -> None:
        assert found.images.dtype == np.uint8
        assert found.pixels.shape[:2] == found.colors.shape[:2]
        before, after = (in_batches(predict, each, batch_size) for each in (images, found.images))
        np.testing.assert_allclose(found.probabilities_before, before, atol=1e-6)
        np.testing.assert_allclose(found.probabilities_after, after, atol=1e-6)
        shown = after.argmax(axis=1)
        for index, success in enumerate(found.success):
            if not success:
                assert np.array_equal(found.images[index], images[index])
                assert (found.pixels[index] == -1).all()
                continue
            rebuilt = images[index].copy()
            for (row, column), color in zip(found.pixels[index], found.colors[index], strict=True):
                rebuilt[row, column] = color
            assert np.array_equal(rebuilt, found.images[index])
            rows, columns = found.pixels[index].T
            assert np.array_equal(rebuilt[rows, columns], found.colors[index])
            assert (rebuilt != images[index]).any(axis=-1).sum() <= found.pixels.shape[1]
            assert shown[index] != labels[index] if targets is None else shown[index] == targets[index]

    return check


def in_batches(predict: Predict, images: NDArray[np.uint8], batch_size: int) -> NDArray[np.float32]:
    """The classifier's probabilities, every batch filled up to the same shape."""
    parts = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        filled = np.concatenate([part, np.repeat(part[:1], batch_size - len(part), axis=0)])
        parts.append(predict(filled)[: len(part)].copy())
    return np.concatenate(parts)


@pytest.fixture
def victims(make_crops: Any, make_classifier: Any) -> tuple[ExactClassifier, NDArray[np.uint8], NDArray[np.int64]]:
    """A classifier, and fifty small images, some wrong from the start, some that fall, and some that withstand."""
    images, classifier = make_crops(50, 8, 7), make_classifier(8, 7, seed=5)
    labels = classifier.labels(images)
    labels[::9] = (labels[::9] + 1) % 4
    return classifier, images, labels


@pytest.fixture
def same_outcomes() -> Callable[..., None]:
    """`same_outcomes(first, second, rows=all)`: `second` found what `first` did for those; `evaluated` may differ."""

    def check(first: AttackResult, second: AttackResult, rows: Any = slice(None)) -> None:
        compared = ("attacked", "success", "pixels", "colors", "images", "queries", "exhausted")
        for name in (*compared, "probabilities_before", "probabilities_after"):
            assert np.array_equal(getattr(first, name)[rows], getattr(second, name)), name

    return check


@pytest.fixture(scope="session")
def compile_host(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], ctypes.CDLL]:
    """`compile_host(source)`: the library that g++ makes of a C++ file, `host.h` itself or one that includes it."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: it compiles the kernels for the CPU")

    def compiled(source: Path) -> ctypes.CDLL:
        library = tmp_path_factory.mktemp("host") / "kernels.so"
        done = subprocess.run(sources.host_command(source, library), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(library))

    return compiled


@pytest.fixture(scope="session")
def library(compile_host: Callable[[Path], ctypes.CDLL]) -> ctypes.CDLL:
    """The kernels as they are."""
    return compile_host(sources.FOLDER / "host.h")


class Fickle:
    """Every tenth or so new image succeeds, once; the next time that it is shown it does not."""

    def __init__(self):
        self.known, self.shown, self.successes = set(), [], []

    def __call__(self, images):
        answers = []
        for image in images:
            content = image.tobytes()
            lucky = int(image.astype(int).sum()) % 10 == 0 and content not in self.known
            self.known.add(content)
            sure = np.float32(0.5 + int(image.astype(int).sum()) % 97 / 200)
            answers.append([0.25, 0.75] if lucky else [sure, 1 - sure])
            self.shown.append(image.copy())
            self.successes.append(lucky)
        return np.array(answers, np.float32)


@pytest.fixture
def make_fickle():
    """`make_fickle()`: a classifier whose successes do not hold."""
    return Fickle

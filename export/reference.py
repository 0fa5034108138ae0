"""What the networks gave before they were exported, on real images: what the bundle has to give too."""

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelproof.errors import UsageError
from pixelproof.export.classifiers import Classifier
from pixelproof.export.interface import Interface, Size
from pixelproof.export.purifiers import Purifier
from pixelproof.models.data import sample

_LEAST_IMAGES = 20
_MOST_PIXELS = 2**20  # all 200 images up to 72x72 pixels, and 20 of 224x224
_PIXELS_A_RUN = 2**18
_LEAST_PROBABILITY = 1e-3  # below it rounding says nothing: 1 - p has no digits left where p is nearly 1

_log = logging.getLogger("pixelproof")


def real_images(size: Size) -> NDArray[np.uint8]:
    """The shipped sample, uint8 `(n, H, W, 3)`, scaled to `size`."""
    return resized(sample().images, size)


def source_of(size: Size) -> str:
    """Where the images of `real_images` are from."""
    return "CIFAR-10's test set" + ("" if size == sample().images.shape[1:3] else ", scaled")


@dataclass(frozen=True)
class Reference:
    """The original networks, run one after the other with all arithmetic between them in NumPy."""

    interface: Interface
    classifier: Classifier
    purifier: Purifier | None

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """The real images that everything is compared on, uint8 `(n, H, W, 3)`."""
        return real_images(self.interface.size)

    @cached_property
    def bare(self) -> NDArray[np.float64]:
        """The classifier's probabilities `(n, classes)` on the images as they are."""
        levels = to_levels(self.images)
        self._outputs(levels[:1])  # one that drops the batch's axis does so here alone
        outputs = self._outputs(levels)
        self._warn_of_sigmoids(outputs)
        return self._probabilities(outputs)

    @cached_property
    def cleaned(self) -> NDArray[np.float32]:
        """The purified images, float32 `(n, 3, H, W)` on the 0..255 scale, not rounded."""
        levels = to_levels(self.images)
        if self.purifier is None:
            return levels
        return np.concatenate([self.purifier.run(rows) for rows in _runs(levels)])

    def classify(self, levels: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probabilities `(n, classes)` of float32 `(n, 3, H, W)`, 0 to 255; `UsageError` for unfit outputs."""
        return self._probabilities(self._outputs(levels))

    def rounding(self, levels: NDArray[np.float32]) -> float:
        """By how much, in nats, the classifier's own rounding moves its logits; 0 where that cannot be measured.

        The largest difference between float32 and float64, on float32 `(n, 3, H, W)`, 0 to 255. Probabilities would
        show it on the few images alone whose classes are close, and on each machine another figure.
        """
        outputs = [self.classifier.run_in_double(rows) for rows in _runs(to_pixels(levels, self.interface))]
        known = [each for each in outputs if each is not None]
        if len(known) < len(outputs):
            return 0.0
        return float(np.abs(self._logits(np.concatenate(known)) - self._logits(self._outputs(levels))).max())

    def _logits(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the classifier's outputs, each row with a mean of 0: the same to all classes changes no probability."""
        logits = outputs if self.interface.outputs == "logits" else np.log(np.maximum(outputs, _LEAST_PROBABILITY))
        centered: NDArray[np.float64] = logits - logits.mean(axis=1, keepdims=True)
        return centered

    def _outputs(self, levels: NDArray[np.float32]) -> NDArray[np.float64]:
        pixels = to_pixels(levels, self.interface)
        outputs = [self._checked(self.classifier.run(rows), len(rows)) for rows in _runs(pixels)]
        return np.concatenate(outputs).astype(np.float64)

    def _checked(self, outputs: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
        classes = len(self.interface.class_names)
        name = self.classifier.name
        if outputs.ndim != 2 or len(outputs) != rows:
            raise UsageError(
                f"classifier '{name}' has to give ({rows}, classes) for {rows} images, got {outputs.shape}. "
                f"Next: let it give one row of logits an image"
            )
        if outputs.shape[1] == 1:
            raise UsageError(
                f"classifier '{name}' gives one value an image, and each class needs one. Next: let it "
                "give two, torch.cat([-z, z], 1) of a logit z or [1 - p, p] of a probability p, and name both"
            )
        if outputs.shape[1] != classes:
            raise UsageError(
                f"classifier '{name}' distinguishes {outputs.shape[1]} classes, and {classes} are named. "
                f"Next: give --classes FILE with {outputs.shape[1]} lines"
            )
        if not np.isfinite(outputs).all():
            raise UsageError(
                f"classifier '{name}' gives values that are not finite on real images. "
                f"Next: check its weights, and --mean and --std"
            )
        return outputs

    def _probabilities(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = outputs.sum(axis=1)
        are_probabilities = bool((outputs >= 0).all() and np.allclose(sums, 1, atol=1e-4))
        if self.interface.outputs == "logits" and not are_probabilities:
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            softmax: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
            return softmax
        if self.interface.outputs == "probabilities" and are_probabilities:
            return outputs
        got = "probabilities" if are_probabilities else "sigmoids" if _like_sigmoids(outputs) else "logits"
        remedy = "let it give the logits before them" if got == "sigmoids" else f"--outputs {got}"
        raise UsageError(
            f"classifier '{self.classifier.name}' should give {self.interface.outputs}, and its outputs are {got}: "
            f"{outputs.min():.3g} to {outputs.max():.3g}, rows summing to {sums.min():.4g} to {sums.max():.4g}. "
            f"Next: {remedy}"
        )

    def _warn_of_sigmoids(self, outputs: NDArray[np.float64]) -> None:
        if self.interface.outputs == "logits" and _like_sigmoids(outputs):
            _log.warning(
                "the outputs of classifier '%s' all lie in 0 to 1, and rows do not sum to 1; taken for logits, "
                "no class is ever likely. Next: if they are sigmoids, let it give the logits before them",
                self.classifier.name,
            )


def _like_sigmoids(outputs: NDArray[np.float64]) -> bool:
    return bool((outputs >= 0).all() and (outputs <= 1).all() and not np.allclose(outputs.sum(axis=1), 1, atol=1e-4))


def to_levels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Uint8 `(n, H, W, 3)` as float32 `(n, 3, H, W)` on the same scale."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).astype(np.float32))


def to_pixels(levels: NDArray[np.float32], interface: Interface) -> NDArray[np.float32]:
    """Float32 `(n, 3, H, W)`, 0 to 255, as the classifier takes them: 0..1, and normalized where it asks for that."""
    pixels = levels / np.float32(255)
    if interface.normalization is not None:
        mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in interface.normalization)
        pixels = (pixels - mean) / std
    return pixels


def resized(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Uint8 `(n, H, W, 3)` scaled to `size`; large ones are fewer, evenly drawn, so that what runs on them ends.

    Images of that size, which somebody chose for it, are all left as they are.
    """
    if images.shape[1:3] == size:
        return images
    height, width = size
    count = min(len(images), max(_LEAST_IMAGES, _MOST_PIXELS // (height * width)))
    images = images[np.linspace(0, len(images) - 1, count).round().astype(int)]
    return np.stack([np.asarray(Image.fromarray(image).resize((width, height))) for image in images])


def _runs(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """`images` `(n, 3, H, W)` in pieces that do not take too much memory at once."""
    rows = max(1, _PIXELS_A_RUN // (images.shape[2] * images.shape[3]))
    return [images[start : start + rows] for start in range(0, len(images), rows)]

"""What a network learns: what is drawn for a step, its loss, and the figures of an evaluation."""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.layers import Normalize
from pixelproof.models.purifiers.gated import Gated
from pixelproof.models.recipe import Recipe
from pixelproof.models.training import augment

_LEAST_VARIANCE = 5e-4  # of a direction that is still scaled up to 1 by `whiten`, in normalized units
_BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
"""Of CPUs; with the second alone a step takes ResNet-32 57 % of float32's time, DenseNet 46 %, `gated` 40 %."""


def mixed_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor multiplies it faster than float32, for which a CPU needs instructions of its own."""
    enabled = device.type != "cpu" or any(map(torch.cpu.get_capabilities().get, _BF16_INSTRUCTIONS))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


class Task(ABC):
    """What one kind of network learns.

    Args:
        module: the network to train.
        recipe: how.
    """

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self.module = module
        self.recipe = recipe

    def prepare(self, images: Tensor) -> None:  # noqa: B027  (most need nothing)
        """Take from the training images, uint8 `(n, 3, H, W)`, what the module has to know before the first step."""

    @abstractmethod
    def draw(self, images: Tensor, labels: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, ...]:
        """All that is random in a step: what `loss` takes, of uint8 `images` `(n, 3, H, W)` and int64 `labels` `(n,)`.

        `done` is the share of the run that lies behind, 0 to 1.
        """

    @abstractmethod
    def loss(self, *drawn: Tensor) -> Tensor:
        """The scalar to minimize: the same operations for whatever was drawn, as a recording plays them again."""

    @abstractmethod
    def score(self, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Figures an image, each `(n,)`; their means over a data set are logged and shipped."""


class Classification(Task):
    """Cross entropy on flipped, shifted (and cut out) images; the score is `accuracy`."""

    whitened = 2000  # images whose windows show how neighbors correlate

    def prepare(self, images: Tensor) -> None:
        """Let the first convolution start from filters that whiten some of the images, where the recipe says so."""
        if self.recipe.whitened:
            whiten(self.module, images[: self.whitened].float().div(255))

    def draw(self, images: Tensor, labels: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, ...]:
        """Changed images in 0..1, `(n, 3, h, w)`, and their labels."""
        images = augment.flip(images, generator)
        images = augment.crop(images, self.recipe.crop_margin, generator)
        inputs = images.float().div(255).contiguous(memory_format=torch.channels_last)
        if self.recipe.cutout_side:
            inputs = augment.cutout(inputs, self.recipe.cutout_side, generator)
        if side := self.recipe.side(done):
            inputs = F.interpolate(inputs, size=(side, side), mode="bilinear", antialias=True)
        return inputs, labels

    def loss(self, *drawn: Tensor) -> Tensor:
        """Mean cross entropy of the batch, in nats."""
        inputs, labels = drawn
        with mixed_precision(inputs.device):
            logits = self.module(inputs)
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)

    def score(self, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """1 where the label is the most probable class; float32 arithmetic, as shipped."""
        inputs = images.float().div(255).contiguous(memory_format=torch.channels_last)
        return {"accuracy": (module(inputs).argmax(1) == labels).float()}


class Reconstruction(Task):
    """The mean squared error of the clean image from one with random pixels.

    The scores are mean errors in pixel values, 0 to 255.
    """

    def draw(self, images: Tensor, labels: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, ...]:
        """Corrupted images on the 0..255 scale, the mask of their changed pixels `(n, 1, H, W)`, clean images."""
        clean = augment.flip(images, generator).float()
        return *augment.corrupt(clean, self.recipe.corrupted_pixels, generator), clean

    def loss(self, *drawn: Tensor) -> Tensor:
        """Mean squared error on the 0..1 scale, the corrupted pixels counting `recipe.corrupted_weight` times."""
        corrupted, mask, clean = drawn
        with mixed_precision(corrupted.device):
            output = self.module(corrupted.contiguous(memory_format=torch.channels_last))
        weight = 1 + (self.recipe.corrupted_weight - 1) * mask
        squares: Tensor = ((output.float() - clean) / 255).square() * weight
        return squares.mean()

    def score(self, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean absolute error of clean images, and of the changed pixel where one is."""
        clean = images.float()
        corrupted, mask = augment.corrupt(clean, 1, torch.Generator().manual_seed(len(images)))
        error = (module(clean) - clean).abs().mean(1, keepdim=True)
        repaired = (module(corrupted) - clean).abs().mean(1, keepdim=True)
        return {"mean_error": error.mean((1, 2, 3)), "mean_error_corrupted": (repaired * mask).sum((1, 2, 3))}


class BlindPrediction(Task):
    """The likelihood of pixels under the scales that were predicted for them without seeing them (Laplace)."""

    positions = 128  # an image and step
    whitened = 500  # images whose windows show how neighbors correlate

    @property
    def gated(self) -> Gated:
        """The module, whose blind predictor is what learns."""
        return cast(Gated, self.module)

    def prepare(self, images: Tensor) -> None:
        """Whiten the predictor's windows by those of some images."""
        self.gated.predictor.whiten(images[: self.whitened])

    def draw(self, images: Tensor, labels: Tensor, generator: torch.Generator, done: float) -> tuple[Tensor, ...]:
        """Corrupted images on the 0..255 scale, some pixels' rows and columns `(n, p)`, those clean `(n, 3, p, 1)`."""
        clean = augment.flip(images, generator).float()
        corrupted, _ = augment.corrupt(clean, self.recipe.corrupted_pixels, generator)
        rows, columns = (
            torch.randint(0, side, (len(clean), self.positions), generator=generator).to(
                clean.device, non_blocking=True
            )
            for side in clean.shape[-2:]
        )
        which = torch.arange(len(clean), device=clean.device)[:, None]
        return corrupted, rows, columns, clean.permute(0, 2, 3, 1)[which, rows, columns].transpose(1, 2).unsqueeze(-1)

    def loss(self, *drawn: Tensor) -> Tensor:
        """Mean negative log likelihood, in nats a color axis, of clean pixels beside corrupted ones."""
        corrupted, rows, columns, target = drawn
        prediction, scale = self.gated.predictor.at(corrupted, rows, columns)
        error = F.conv2d(target - prediction, self.gated.axes).abs()
        nats: Tensor = (error / scale + scale.log()).mean()
        return nats

    def score(self, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Mean absolute error (0 to 255), pixels replaced in a clean image, and random changed pixels that were."""
        clean = images.float()
        prediction, _ = cast(Gated, module).predictor(clean)
        corrupted, mask = augment.corrupt(clean, 1, torch.Generator().manual_seed(len(images)))
        replaced = (module(corrupted) != corrupted).any(1, keepdim=True)
        return {
            "mean_error": (prediction - clean).abs().mean((1, 2, 3)),
            "replaced_clean": (module(clean) != clean).any(1).float().sum((1, 2)),
            "replaced_corrupted": (replaced * mask).sum((1, 2, 3)),
        }


TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "reconstruction": Reconstruction,
    "blind prediction": BlindPrediction,
}
"""By the names that the registry gives them; each takes the network to train, and its recipe."""


@torch.no_grad()
def whiten(module: nn.Module, images: Tensor) -> None:
    """Set the filters of `module`'s first convolution to the principal directions of the windows it sees.

    Neighbors in an image are so alike that random filters nearly all see its brightness. Each direction is scaled so
    that its response to `images` has a variance of 1. Where there are filters enough, it is taken with both signs,
    which a ReLU separates. Filters that are left over keep their first, random weights.

    Source: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024. There the first layer holds ZCA's principal
    directions fixed; here they are its start.

    Args:
        module: a classifier whose first convolution sees its `Normalize`d input.
        images: float32 `(n, 3, H, W)` in 0..1.
    """
    layers = list(module.modules())
    normalise = next(layer for layer in layers if isinstance(layer, Normalize))
    first = next(layer for layer in layers if isinstance(layer, nn.Conv2d))
    windows = F.unfold(normalise(images), first.kernel_size).movedim(1, -1).flatten(0, 1)
    variance, directions = torch.linalg.eigh((windows.T @ windows / len(windows)).double())
    filters = (directions / (variance + _LEAST_VARIANCE).sqrt()).T.flip(0)  # the largest variance first
    if first.out_channels >= 2 * len(filters):
        filters = torch.stack((filters, -filters), dim=1).flatten(0, 1)
    count = min(len(filters), first.out_channels)
    first.weight[:count] = filters[:count].view(count, *first.weight.shape[1:]).to(first.weight)

"""Layers that several families share."""

import torch
from torch import Tensor, nn

CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation, each a value a channel of the 0..1 image.

    Args:
        mean: one value a channel.
        std: one value a channel, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = CIFAR10_MEAN, std: tuple[float, ...] = CIFAR10_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """`(n, channels, H, W)` float32 in, the same shape out."""
        return (images - self.mean) / self.std


class ConvBN(nn.Sequential):
    """Convolution without bias, then batch normalization; padding keeps the size at stride 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )

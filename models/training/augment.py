"""Random changes to a batch of training images, all drawn from one generator on the CPU (the same on every device).

What was drawn goes to a GPU without waiting for it: the next step is drawn while the last one is computed.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2; `(n, c, H, W)`, of any dtype."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device, non_blocking=True)
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def crop(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `margin` pixels along each axis, 0 beyond the border; `(n, c, H, W)`, of any dtype."""
    count, channels, height, width = images.shape
    padded = F.pad(images, (margin, margin, margin, margin))
    offsets = torch.randint(0, 2 * margin + 1, (2, count), generator=generator).to(images.device, non_blocking=True)
    rows = offsets[0][:, None] + torch.arange(height, device=images.device)
    columns = offsets[1][:, None] + torch.arange(width, device=images.device)
    which = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[which, channel, rows[:, None, :, None], columns[:, None, None, :]]


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of `side` pixels to 0, centered anywhere in the image; `(n, c, H, W)`, of any dtype.

    Source: DeVries, Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    """
    count, _, height, width = images.shape
    center = torch.rand(2, count, generator=generator).to(images.device, non_blocking=True)
    rows = (torch.arange(height, device=images.device) - (center[0] * height)[:, None]).abs() <= side / 2
    columns = (torch.arange(width, device=images.device) - (center[1] * width)[:, None]).abs() <= side / 2
    hidden = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(hidden, 0)


def corrupt(images: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Give `count` random pixels of each image a random color.

    Half of the colors are corners of the color cube, which one-pixel attacks favor, half are uniform.

    Args:
        images: float `(n, 3, H, W)` on the 0..255 scale; left as it is.
        count: pixels an image; two may fall on the same place.
        generator: on the CPU.

    Returns:
        The corrupted images, and a mask `(n, 1, H, W)` that is 1 where a pixel was changed and 0 elsewhere.
    """
    batch, channels, height, width = images.shape
    position = torch.randint(0, height * width, (batch, 1, count), generator=generator)
    uniform = torch.randint(0, 256, (batch, channels, count), generator=generator)
    extreme = torch.randint(0, 2, (batch, channels, count), generator=generator) * 255
    corner = torch.rand(batch, 1, count, generator=generator) < 0.5
    color = torch.where(corner, extreme, uniform).to(images.device, images.dtype, non_blocking=True)
    position = position.to(images.device, non_blocking=True)
    corrupted = images.flatten(2).scatter(2, position.expand(-1, channels, -1), color).view_as(images)
    mask = torch.zeros(batch, 1, height * width, device=images.device).scatter(2, position, 1.0)
    return corrupted, mask.view(batch, 1, height, width)

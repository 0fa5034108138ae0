"""The gate that both pixel-replacing purifiers end in: exact going forward, smooth going backward."""

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 0.1
"""Width of the sigmoid that stands in for the step in the backward pass, as a share of the gate's threshold."""


def replace_where(margin: Tensor, images: Tensor, filling: Tensor) -> Tensor:
    """`filling`, rounded to whole levels, where `margin` is 0 or more, and the image elsewhere.

    Where the images ask for a gradient, the step's is that of a sigmoid of `TEMPERATURE` and the rounding's is 1, so
    that an attacker's backward pass goes through the gate; the values stay the same.

    Args:
        margin: `(n, 1, H, W)`, as a share of the gate's threshold.
        images: `(n, 3, H, W)` on the 0..255 scale.
        filling: `(n, 3, H, W)`, what replaces a pixel.

    Returns:
        `(n, 3, H, W)`; whole levels where `images` are.
    """
    gate = margin >= 0
    rounded = (filling + 0.5).floor().clamp(0, 255)
    exact = torch.where(gate, rounded, images)
    if not images.requires_grad:
        return exact
    soft = torch.sigmoid(margin / TEMPERATURE)
    hard = gate.to(soft.dtype)
    gate_gradient = (soft - soft.detach()) * (rounded - images).detach()
    path_gradient = hard * (filling - filling.detach()) + (1 - hard) * (images - images.detach())
    return exact.detach() + gate_gradient + path_gradient


def worst_around(error: Tensor, reach: int) -> Tensor:
    """The largest `(n, 1, H, W)` error up to `reach` rows and columns away, rows and columns one after the other."""
    rows = F.max_pool2d(error, (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))

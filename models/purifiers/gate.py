"""The gate that both pixel-replacing purifiers end in, and the form of the gated one that is shipped.

The gate is exact in the forward pass and smooth in the backward pass. `FusedGate` computes the same values from fewer
and cheaper operations. Units, mid-gray and the threshold are constants, and go into the weights. What only a backward
pass needs is left out. On small batches each operation that is left costs more than its arithmetic.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE = 0.1
"""Width of the sigmoid that stands in for the step in the backward pass, as a share of the gate's threshold."""


def replace_where(margin: Tensor, images: Tensor, replacement: Tensor) -> Tensor:
    """`replacement`, rounded to whole pixel values, where `margin` is 0 or more, and the image elsewhere.

    Where the images ask for a gradient, the step has that of a sigmoid of `TEMPERATURE`, and the rounding has 1. So an
    attacker's backward pass goes through the gate. The values stay the same.

    Args:
        margin: `(n, 1, H, W)`, as a share of the gate's threshold.
        images: `(n, 3, H, W)` on the 0..255 scale.
        replacement: `(n, 3, H, W)` on the 0..255 scale, what replaces a pixel.

    Returns:
        `(n, 3, H, W)`; whole pixel values where `images` are.
    """
    gate = margin >= 0
    rounded = (replacement + 0.5).floor().clamp(0, 255)
    exact = torch.where(gate, rounded, images)
    if not images.requires_grad:
        return exact
    soft = torch.sigmoid(margin / TEMPERATURE)
    hard = gate.to(soft.dtype)
    gate_gradient = (soft - soft.detach()) * (rounded - images).detach()
    path_gradient = hard * (replacement - replacement.detach()) + (1 - hard) * (images - images.detach())
    return exact.detach() + gate_gradient + path_gradient


def worst_around(error: Tensor, reach: int) -> Tensor:
    """The largest `(n, 1, H, W)` error up to `reach` rows and columns away, rows and columns one after the other."""
    rows = F.max_pool2d(error, (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))


class FusedGate(nn.Module):
    """Takes and gives what `Gated` does, `(n, 3, H, W)` on the 0..255 scale; `Gated.fused` makes it.

    Args:
        window: from pixel values, 0 to 255, and a channel that is 1 inside the image to the first hidden values.
        hidden: to the second.
        output: to the prediction in pixel values and the scale's parameter in thresholds.
        axes: `(3, 3, 1, 1)`, the color axes that errors are measured on.
        bend: of the hyperbola that turns the parameter into a scale.
        least: smallest scale, in pixel values times threshold.
        rejection_threshold: as for `Gated`.
        share: likewise.
    """

    axes: Tensor

    def __init__(
        self,
        window: nn.Conv2d,
        hidden: nn.Conv2d,
        output: nn.Conv2d,
        axes: Tensor,
        *,
        bend: float,
        least: float,
        rejection_threshold: float,
        share: float,
    ) -> None:
        super().__init__()
        self.window, self.hidden, self.output = window, hidden, output
        self.radius = int(window.kernel_size[0]) // 2
        self.bend, self.least, self.share = bend, least, share
        self.steepness = rejection_threshold / (rejection_threshold - 1)
        self.register_buffer("axes", axes)

    def forward(self, images: Tensor) -> Tensor:
        """The purified images."""
        features = F.relu(self.window(F.pad(images, (0, 0, 0, 0, 0, 1), value=1.0)))
        prediction, scale = self.output(F.relu(self.hidden(features))).split(3, dim=1)
        scale = scale + (scale * scale + self.bend**2).sqrt() + self.least
        off = images - prediction
        error = (F.conv2d(off, self.axes).abs() / scale).amax(1, keepdim=True)
        # an error of 0 makes this minus infinity, and the clamp 0
        pull = (self.steepness - self.steepness / error).clamp(0, 1)
        worst = worst_around(error, self.radius)
        pull = pull * (error >= (worst if self.share == 1 else worst * self.share)).to(pull.dtype)
        # a pull of 0 leaves whole pixel values exactly as they are
        purified: Tensor = (images - off * pull + 0.5).clamp(0, 255).floor()
        return purified


def scaled(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution like `layer` with float64 `weight` and `bias` in place of its own, rounded once."""
    assert layer.bias is not None
    copy = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding)  # type: ignore[arg-type]
    copy.weight = nn.Parameter(weight.to(layer.weight.dtype), requires_grad=False)
    copy.bias = nn.Parameter(bias.to(layer.bias.dtype), requires_grad=False)
    return copy

"""The gated purifier as it is shipped: the same values from fewer and cheaper operations.

Units, mid-gray and the threshold are constants, and go into the weights beside them. What only a backward pass needs is
left out. On small batches each operation that is left costs more than its arithmetic.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.purifiers.gate import worst_around


class FoldedGate(nn.Module):
    """Takes and gives what `Gated` does, `(n, 3, H, W)` on the 0..255 scale; `Gated.folded` makes it.

    Args:
        window: from colors in levels and a channel that is 1 inside the image to the first hidden values.
        hidden: to the second.
        output: to the prediction in levels and the scale's parameter in thresholds.
        axes: `(3, 3, 1, 1)`, the color axes that errors are measured on.
        bend: of the hyperbola that turns the parameter into a scale.
        least: smallest scale, in levels times threshold.
        hopeless: as for `Gated`.
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
        hopeless: float,
        share: float,
    ) -> None:
        super().__init__()
        self.window, self.hidden, self.output = window, hidden, output
        self.reach = int(window.kernel_size[0]) // 2
        self.bend, self.least, self.share = bend, least, share
        self.steepness = hopeless / (hopeless - 1)
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
        worst = worst_around(error, self.reach)
        pull = pull * (error >= (worst if self.share == 1 else worst * self.share)).to(pull.dtype)
        # a pull of 0 leaves whole levels exactly as they are
        purified: Tensor = (images - off * pull + 0.5).clamp(0, 255).floor()
        return purified


def scaled(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution like `layer` with float64 `weight` and `bias` in place of its own, rounded once."""
    assert layer.bias is not None
    copy = nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding)  # type: ignore[arg-type]
    copy.weight = nn.Parameter(weight.to(layer.weight.dtype), requires_grad=False)
    copy.bias = nn.Parameter(bias.to(layer.bias.dtype), requires_grad=False)
    return copy

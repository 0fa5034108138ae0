"""The paper's purifier: a convolutional autoencoder whose output replaces the whole image."""

from itertools import product

import torch
from torch import Tensor, nn

_SQUARE = tuple(product((0, 1), (0, 1)))  # what a stride of 2 folds into one place: (row, column)
_VALUES_HALF = 3 * 4  # an image's, at half resolution
_VALUES_QUARTER = 3 * 16
_GAIN = 0.5  # of the other rows' first weights: enough to learn from, too little to disturb what is carried


class Autoencoder(nn.Module):
    """Two stride-2 stages down, two up by sub-pixel convolution, and no connection from input to output around them.

    It starts as the identity: pairs of channels carry each value's positive and negative part past every ReLU. This is
    the "looks-linear" initialization of Balduzzi and others, "The shattered gradients problem", 2017. Training has only
    to learn what to take out. From random weights most of the training goes into learning to copy, and the copy stays
    coarse: the classifier then loses more images to the reconstruction than to the attack. No normalization either,
    for the same fidelity (Lim and others, "Enhanced deep residual networks for single image super-resolution", 2017).

    Up-sampling: Shi and others, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", 2016.

    Args:
        width: channels at half resolution, at least 24.
        code: channels at a quarter, at least 96.
    """

    def __init__(self, width: int = 48, code: int = 112) -> None:
        super().__init__()
        self.encode_half = nn.Conv2d(3, width, 5, stride=2, padding=2)
        self.context = nn.Conv2d(width, width, 3, padding=1)
        self.encode_quarter = nn.Conv2d(width, code, 3, stride=2, padding=1)
        self.decode_half = nn.Conv2d(code, 4 * width, 3, padding=1)
        self.decode_full = nn.Conv2d(width, 4 * 3, 3, padding=1)
        self.unfold = nn.PixelShuffle(2)
        self.start_as_identity()

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction, `(n, 3, H, W)` on the 0..255 scale; not clipped."""
        height, width = images.shape[-2:]
        half = self.context(self.encode_half(images / 128 - 1).relu()).relu()
        code = self.encode_quarter(half).relu()
        half = self.unfold(self.decode_half(code)).relu()
        reconstruction: Tensor = self.unfold(self.decode_full(half))[..., :height, :width]
        return (reconstruction + 1) * 128

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Draw small first weights, and wire the identity through them."""
        for layer in (self.encode_half, self.context, self.encode_quarter, self.decode_half, self.decode_full):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu").mul_(_GAIN)
            if layer.bias is not None:
                layer.bias.zero_()
        for color, (place, tap) in product(range(3), enumerate(_SQUARE)):
            _carry(self.encode_half, _pair(4 * color + place), color, tap)
        for value in range(_VALUES_HALF):
            _carry(self.context, _pair(value), value)
            for place, tap in enumerate(_SQUARE):
                _carry(self.encode_quarter, _pair(4 * value + place), value, tap)
        for value in range(_VALUES_QUARTER):  # sub-pixel convolution takes four rows for a channel of its output
            positive, negative = _pair(value // 4)
            _carry(self.decode_half, (4 * positive + value % 4, 4 * negative + value % 4), value)
        for row in range(_VALUES_HALF):
            _carry(self.decode_full, (row,), row)


def _pair(value: int) -> tuple[int, int]:
    """The channels of a value's positive and negative part."""
    return 2 * value, 2 * value + 1


def _carry(layer: nn.Conv2d, rows: tuple[int, ...], value: int, tap: tuple[int, int] = (0, 0)) -> None:
    """Let the first of `rows` yield the input's `value` at `tap` from the center, the second its negative.

    A value of an image is a channel, of a hidden layer the difference of a pair.
    """
    down, right = (side // 2 + offset for side, offset in zip(layer.kernel_size, tap, strict=True))
    for row, sign in zip(rows, (1.0, -1.0), strict=False):
        weight = layer.weight[row].zero_()
        if layer.in_channels == 3:
            weight[value, down, right] = sign
        else:
            positive, negative = _pair(value)
            weight[positive, down, right], weight[negative, down, right] = sign, -sign

"""The paper's purifier: a convolutional autoencoder whose output replaces the whole image."""

from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.layers import ConvBN


class Autoencoder(nn.Module):
    """Two stride-2 stages down, two up, and no connection from input to output around them.

    Up-sampling is by repetition and a convolution, which quantises and builds better than a transposed one.

    Args:
        width: channels of the first stage; the second has twice as many.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.encode_half = nn.Sequential(ConvBN(3, width, 5, stride=2), nn.ReLU())
        self.encode_quarter = nn.Sequential(
            ConvBN(width, 2 * width, 3, stride=2), nn.ReLU(), ConvBN(2 * width, 2 * width, 3), nn.ReLU()
        )
        self.decode_half = nn.Sequential(ConvBN(2 * width, width, 3), nn.ReLU())
        self.decode_full = nn.Sequential(ConvBN(width, width, 3), nn.ReLU())
        self.output = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction, `(n, 3, H, W)` on the 0..255 scale; not clipped."""
        half = self.encode_half(images / 128 - 1)
        code = self.encode_quarter(half)
        half = self.decode_half(F.interpolate(code, size=half.shape[-2:]))
        full = self.decode_full(F.interpolate(half, size=images.shape[-2:]))
        reconstruction: Tensor = self.output(full)
        return (reconstruction + 1) * 128

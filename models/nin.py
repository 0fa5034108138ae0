"""Network in Network (968 K parameters).

Source: Lin, Chen, Yan, "Network in network", ICLR 2014, in the widths of its authors' CIFAR-10 release. It has three
blocks of a convolution and two 1x1 ones, and global average pooling in place of dense layers. Batch normalization after
each convolution stands in place of dropout.
"""

from torch import Tensor, nn

from pixelproof.models.layers import ConvBN, Normalize


class NiN(nn.Module):
    """Float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalize()
        self.features = nn.Sequential(
            *_block(3, 5, (192, 160, 96)),
            nn.MaxPool2d(3, stride=2, padding=1),
            *_block(96, 5, (192, 192, 192)),
            nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
            *_block(192, 3, (192, 192)),
        )
        self.head = nn.Conv2d(192, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        logits: Tensor = self.head(self.features(self.normalise(images))).mean(dim=(2, 3))
        return logits


def _block(inputs: int, kernel: int, widths: tuple[int, ...]) -> list[nn.Module]:
    """A convolution to the first width, then 1x1 ones: the small network that slides over the image."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [ConvBN(inputs, width, kernel), nn.ReLU()]
        inputs, kernel = width, 1
    return layers

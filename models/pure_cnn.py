"""PureCNN: convolutions alone, strided ones in place of pooling (1.4 M parameters).

Source: Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity: the all convolutional net", ICLR 2015
workshop, table 1, All-CNN-C. Batch normalization after each convolution stands in place of dropout.
"""

from torch import Tensor, nn

from pixelproof.models.layers import ConvBN, Normalize


class PureCNN(nn.Module):
    """Float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`.

    Args:
        widths: channels at full resolution, and below it.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[int, int] = (96, 192), classes: int = 10) -> None:
        super().__init__()
        narrow, wide = widths
        self.normalise = Normalize()
        layers: list[nn.Module] = []
        for layer in (
            ConvBN(3, narrow, 3),
            ConvBN(narrow, narrow, 3),
            ConvBN(narrow, narrow, 3, stride=2),
            ConvBN(narrow, wide, 3),
            ConvBN(wide, wide, 3),
            ConvBN(wide, wide, 3, stride=2),
            ConvBN(wide, wide, 3),
            ConvBN(wide, wide, 1),
        ):
            layers += [layer, nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(wide, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        logits: Tensor = self.head(self.features(self.normalise(images))).mean(dim=(2, 3))
        return logits

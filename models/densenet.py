"""DenseNet-BC (k = 12, 100 layers: 769 K parameters).

Source: Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", CVPR 2017, section 3. Each
layer sees the output of all layers before it in its block. Bottlenecks have 4k channels (B), and transitions halve the
channels (C). Normalization and ReLU stand before each convolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.layers import Normalize


class DenseLayer(nn.Module):
    """Adds `growth` channels to those it is given."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm2d(inputs)
        self.bottleneck = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(4 * growth)
        self.convolution = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, inputs + growth, h, w)`."""
        narrow = self.bottleneck(F.relu(self.first_norm(features)))
        return torch.cat((features, self.convolution(F.relu(self.second_norm(narrow)))), dim=1)


class Transition(nn.Sequential):
    """Halves channels, height and width."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, inputs // 2, 1, bias=False), nn.AvgPool2d(2)
        )


class DenseNet(nn.Module):
    """Float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`.

    Args:
        layers: dense layers a block; 16 gives the 100 of the paper.
        growth: channels that a layer adds (the paper's k).
        classes: number of classes.
    """

    def __init__(self, layers: int = 16, growth: int = 12, classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalize()
        width = 2 * growth
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        for block in range(3):
            if block > 0:
                stages.append(Transition(width))
                width //= 2
            for _ in range(layers):
                stages.append(DenseLayer(width, growth))
                width += growth
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        features = F.relu(self.norm(self.stages(self.stem(self.normalise(images)))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits

"""Wide ResNet (WideResNet-16-8: 11.0 M parameters).

Source: Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016. It has 6n + 4 layers, n = 2 blocks a stage, and
widths 16 k, 32 k, 64 k with k = 8. Normalization and ReLU stand before each convolution. There is no dropout inside
blocks; the paper leaves it out as well where images are augmented.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.layers import Normalize


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after normalization and ReLU, and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm2d(inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.projection = None if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, outputs, h / stride, w / stride)`."""
        active = F.relu(self.first_norm(features))
        shortcut = features if self.projection is None else self.projection(active)
        changed: Tensor = self.second(F.relu(self.second_norm(self.first(active))))
        return changed + shortcut


class WideResNet(nn.Module):
    """Float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`.

    Args:
        blocks: blocks a stage (the paper's n); 2 gives 16 layers.
        widening: the paper's k.
        classes: number of classes.
    """

    def __init__(self, blocks: int = 2, widening: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalize()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        inputs = 16
        for index in range(3):
            width = 16 * 2**index * widening
            for block in range(blocks):
                stages.append(WideBlock(inputs, width, stride=2 if index > 0 and block == 0 else 1))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(inputs)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        features = F.relu(self.norm(self.stages(self.stem(self.normalise(images)))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits

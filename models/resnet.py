"""ResNet for CIFAR-10 (ResNet-32: 467 K parameters).

Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2. It has 6n + 2
layers, n = 5 blocks a stage, and widths 16, 32, 64. Where a stage halves the image, the shortcut is a 1x1 projection
(the paper's option B). The paper's CIFAR networks take option A, which has 3 K parameters fewer.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.layers import ConvBN, Normalize


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvBN(inputs, outputs, 3, stride)
        self.second = ConvBN(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else ConvBN(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, outputs, h / stride, w / stride)`."""
        return F.relu(self.second(F.relu(self.first(features))) + self.shortcut(features))


class ResNet(nn.Module):
    """Float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`.

    Args:
        blocks: blocks a stage (the paper's n); 5 gives ResNet-32.
        widths: channels of the three stages.
        classes: number of classes.
    """

    def __init__(self, blocks: int = 5, widths: tuple[int, int, int] = (16, 32, 64), classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalize()
        self.stem = ConvBN(3, widths[0], 3)
        stages: list[nn.Module] = []
        inputs = widths[0]
        for index, width in enumerate(widths):
            for block in range(blocks):
                stages.append(BasicBlock(inputs, width, stride=2 if index > 0 and block == 0 else 1))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        features = self.stages(F.relu(self.stem(self.normalise(images))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits

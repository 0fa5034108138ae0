"""LeNet-5 with ReLU and max pooling, on color images: 62,006 parameters.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998,
figure 2. As in most later implementations, the sub-sampling layers are max pooling, and the C3 layer is fully connected
to S2. The output layer is a softmax classifier.
"""

from torch import Tensor, nn

from pixelproof.models.layers import Normalize


class LeNet(nn.Module):
    """Float32 `(n, 3, 32, 32)` in 0..1 to logits `(n, classes)`."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalize()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5),  # C1: 28x28
            nn.ReLU(),
            nn.MaxPool2d(2),  # S2: 14x14
            nn.Conv2d(6, 16, 5),  # C3: 10x10
            nn.ReLU(),
            nn.MaxPool2d(2),  # S4: 5x5
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),  # C5
            nn.ReLU(),
            nn.Linear(120, 84),  # F6
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits of `images`, normalized here."""
        logits: Tensor = self.classifier(self.features(self.normalise(images)))
        return logits

"""What the paper that the project starts from reports: its Table 4, an autoencoder under differential evolution."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperFigures:
    """What the paper reports for a classifier, 0 to 1."""

    attack_success: float
    success_after: float
    defense_rate: float
    performance_loss: float


PAPER: dict[str, PaperFigures] = {
    "pure_cnn": PaperFigures(162 / 1000, 23 / 1000, 139 / 162, 131 / 977),
    "lenet": PaperFigures(612 / 1000, 217 / 1000, 395 / 612, 151 / 783),
    "nin": PaperFigures(286 / 1000, 51 / 1000, 235 / 286, 126 / 949),
    "resnet": PaperFigures(300 / 1000, 48 / 1000, 252 / 300, 121 / 952),
    "densenet": PaperFigures(252 / 1000, 45 / 1000, 207 / 252, 153 / 955),
    "wide_resnet": PaperFigures(221 / 1000, 24 / 1000, 197 / 221, 105 / 976),
}
"""Table 4 of the paper that the project starts from: one pixel, 1,000 attacked CIFAR-10 images a classifier."""
STATED_MEAN_D_SUC = 0.812
"""The paper's own mean; that of its six rows is 81.3 %."""

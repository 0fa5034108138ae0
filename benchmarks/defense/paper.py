"""Table 4 of the paper that the project starts from: 1,000 attacked CIFAR-10 images a classifier."""

from pixelproof.benchmarks.formats import PaperFigures

PIXELS = 1
"""Changed by the table's attack."""
PAPER: dict[str, PaperFigures] = {
    "pure_cnn": PaperFigures(162 / 1000, 23 / 1000, 139 / 162, 131 / 977),
    "lenet": PaperFigures(612 / 1000, 217 / 1000, 395 / 612, 151 / 783),
    "nin": PaperFigures(286 / 1000, 51 / 1000, 235 / 286, 126 / 949),
    "resnet": PaperFigures(300 / 1000, 48 / 1000, 252 / 300, 121 / 952),
    "densenet": PaperFigures(252 / 1000, 45 / 1000, 207 / 252, 153 / 955),
    "wide_resnet": PaperFigures(221 / 1000, 24 / 1000, 197 / 221, 105 / 976),
}

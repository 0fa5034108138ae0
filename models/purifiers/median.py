"""The baseline with no learning: a pixel far outside its neighbors' range becomes their median."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.purifiers.gate import replace_where

# Batcher's odd-even merge sort of eight values (Batcher, "Sorting networks and their applications", 1968): minimum and
# maximum alone, which every backend runs well.
_COMPARATORS = (
    *((0, 1), (2, 3), (4, 5), (6, 7)),
    *((0, 2), (1, 3), (4, 6), (5, 7)),
    *((1, 2), (5, 6)),
    *((0, 4), (1, 5), (2, 6), (3, 7)),
    *((2, 4), (3, 5)),
    *((1, 2), (3, 4), (5, 6)),
)


class Median(nn.Module):
    """Replaces a pixel by the lower median of its 8 neighbors where a channel lies far outside their range.

    Args:
        tolerance: pixel values outside the neighbors' range that a channel may lie, above 0.
    """

    receptive_field = 1
    """A radius: rows and columns from a changed pixel to the furthest output that it moves."""
    whole_values = True

    def __init__(self, tolerance: float = 32.0) -> None:
        super().__init__()
        self.tolerance = tolerance

    def forward(self, images: Tensor) -> Tensor:
        """The purified images, `(n, 3, H, W)` on the 0..255 scale."""
        ranked = sorted_neighbors(images)
        outside = torch.maximum(ranked[0] - images, images - ranked[-1]).amax(1, keepdim=True)
        # images hold whole pixel values: the first that is replaced gets margin 0
        return replace_where((outside - self.tolerance - 1) / self.tolerance, images, ranked[3])

    def accepted_colors(self, images: Tensor) -> Tensor:
        """The corners of the color box that is let pass at each position: uint8 `(n, H, W, 8, 3)`."""
        ranked = sorted_neighbors(images)
        low, high = ranked[0] - self.tolerance, ranked[-1] + self.tolerance
        corners = torch.stack(
            [torch.stack([(high if index >> c & 1 else low)[:, c] for c in range(3)], -1) for index in range(8)], -2
        )
        return corners.clamp(0, 255).to(torch.uint8)


def sorted_neighbors(images: Tensor) -> list[Tensor]:
    """The eight neighbors of each pixel, each channel sorted on its own, smallest first; reflected at the border.

    `(n, 3, H, W)`, and so are the eight.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    ranked = [
        padded[:, :, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    ]
    for low, high in _COMPARATORS:
        ranked[low], ranked[high] = torch.minimum(ranked[low], ranked[high]), torch.maximum(ranked[low], ranked[high])
    return ranked

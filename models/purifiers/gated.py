"""The default purifier: predicts each pixel without seeing it, and replaces only what the prediction rules out.

A small network sees the 7x7 window around a pixel but not the pixel itself, and gives a prediction and the scale of
its own error. A pixel whose error is beyond what the scale explains, and among the worst of its neighbourhood, is
replaced by the prediction; every other pixel passes untouched.

Errors are measured on the axes of Ohta, Kanade, Sakai, "Color information for region segmentation", 1980, nearly the
principal axes of natural colours: a pixel's brightness is hard to foresee, its hue is not, and on these axes the gate
leaves an attacker no more room in hue than it has to.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.purifiers.gate import replace_where

WINDOW = 7
_OHTA = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, 0.0, -1 / 2), (-1 / 4, 1 / 2, -1 / 4))
_SMALLEST_SCALE = 0.5  # levels: half a quantisation step
_ROUNDING = 0.51  # levels that rounding a colour may move it on each of Ohta's axes, and a little for float errors


class BlindPredictor(nn.Module):
    """Prediction and scale of each pixel from its window, the pixel itself left out.

    Blind exactly: only the first layer has spatial extent, its centre is zero, and beyond the border it sees zeros and
    a channel that says so (reflected padding would show border pixels to themselves).

    Args:
        width: hidden channels.
    """

    hole: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.window = nn.Conv2d(4, width, WINDOW, padding=WINDOW // 2)
        self.hidden = nn.Conv2d(width, width, 1)
        self.output = nn.Conv2d(width, 6, 1)
        hole = torch.ones(1, 1, WINDOW, WINDOW)
        hole[..., WINDOW // 2, WINDOW // 2] = 0
        self.register_buffer("hole", hole, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`(n, 3, H, W)` on the 0..255 scale to prediction (likewise) and scale (levels, on Ohta's axes)."""
        weight = self.window.weight * self.hole
        inside = torch.ones((1, 1, *images.shape[-2:]), dtype=images.dtype, device=images.device)
        border = F.conv2d(inside, weight[:, 3:], self.window.bias, padding=WINDOW // 2)
        return self._read(F.conv2d((images - 128) / 64, weight[:, :3], padding=WINDOW // 2) + border)

    def at(self, images: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The same at some positions alone, `(n, m)` rows and columns: prediction and scale `(n, 3, m, 1)`.

        Training on a random share of the positions learns as much from each image for a fraction of the work.
        """
        seen = F.pad((images - 128) / 64, (WINDOW // 2,) * 4)
        valid = F.pad(torch.ones_like(images[:, :1]), (WINDOW // 2,) * 4)
        padded = torch.cat([seen, valid], 1).permute(0, 2, 3, 1)
        reach = torch.arange(WINDOW, device=images.device)
        which = torch.arange(len(images), device=images.device)[:, None, None, None]
        windows = padded[which, (rows[..., None] + reach)[..., None], (columns[..., None] + reach)[:, :, None]]
        weight = (self.window.weight * self.hole).permute(2, 3, 1, 0).flatten(0, 2)
        features = F.linear(windows.flatten(2), weight.T, self.window.bias)
        return self._read(features.transpose(1, 2).unsqueeze(-1))

    def _read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        prediction, log_scale = self.output(F.relu(self.hidden(F.relu(features)))).split(3, dim=1)
        return prediction * 64 + 128, F.softplus(log_scale) * 8 + _SMALLEST_SCALE


class Gated(nn.Module):
    """Replaces a pixel by its blind prediction where the error is beyond its scale and the worst around.

    Args:
        width: hidden channels of the predictor.
        threshold: error, in scales, from which a pixel is replaced.
        share: share of the worst error in the 7x7 neighbourhood that a pixel's own must reach: an attacked pixel
            spoils the predictions of its neighbours, which must not be replaced for it.
    """

    axes: Tensor

    def __init__(self, width: int = 32, threshold: float = 5.0, share: float = 1.0) -> None:
        super().__init__()
        self.predictor = BlindPredictor(width)
        self.threshold = threshold
        self.share = share
        self.register_buffer("axes", torch.tensor(_OHTA).view(3, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """The purified images, `(n, 3, H, W)` on the 0..255 scale."""
        prediction, scale = self.predictor(images)
        error = (F.conv2d(images - prediction, self.axes).abs() / scale).amax(1, keepdim=True)
        worst = worst_around(error) * self.share
        # the worst pixel is not measured against itself, or the backward pass would not see its own error
        bar = worst.masked_fill(error >= worst, 0).clamp(min=self.threshold)
        return replace_where((error - bar) / self.threshold, images, prediction)

    def passes(self, images: Tensor) -> Tensor:
        """The extreme colours that are let pass at each position: uint8 `(n, H, W, 8, 3)`.

        They are the corners of the gate's parallelepiped in colour space, cut to 0..255, then drawn towards the
        prediction until they are inside again, rounding included. A worse pixel nearby lets yet others pass. Where
        the prediction leaves 0..255 so far that nothing is inside, they are the colour that would replace the pixel.
        """
        prediction, scale = (values.movedim(1, -1).unsqueeze(-2) for values in self.predictor(images))
        reach = (self.threshold * scale - _ROUNDING).clamp(min=0)
        signs = torch.tensor([[1.0 if i >> c & 1 else -1.0 for c in range(3)] for i in range(8)], device=images.device)
        axes = self.axes[:, :, 0, 0]
        corners = (prediction + (signs * reach) @ torch.linalg.inv(axes).T).clamp(0, 255)
        centre = prediction.clamp(0, 255)
        error, step = (centre - prediction) @ axes.T, (corners - centre) @ axes.T
        room = (reach - error * step.sign()) / step.abs().clamp(min=1e-6)
        share = room.amin(-1, keepdim=True).clamp(0, 1) * (error.abs() <= reach).all(-1, keepdim=True)
        levels: Tensor = (centre + (corners - centre) * share + 0.5).floor().to(torch.uint8)
        return levels


def worst_around(error: Tensor) -> Tensor:
    """The largest `(n, 1, H, W)` error in each 7x7 neighbourhood, rows and columns one after the other."""
    rows = F.max_pool2d(error, (WINDOW, 1), stride=1, padding=(WINDOW // 2, 0))
    return F.max_pool2d(rows, (1, WINDOW), stride=1, padding=(0, WINDOW // 2))

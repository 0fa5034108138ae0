"""The default purifier: predicts each pixel without seeing it, and pulls back only what the prediction rules out.

A small network sees the window around a pixel but not the pixel itself, and gives a prediction and the scale of its own
error. A pixel is pulled back where its error is beyond what the scale explains, and the worst of its neighborhood. It
ends where the scale still explains it; the further off it is, the nearer to the prediction. What no scale explains
becomes the prediction. Every other pixel passes untouched. The pull is the redescending influence function of Hampel,
"The influence curve and its role in robust estimation", 1974, its flat part left out. A clean pixel that is merely
unusual moves little, so that the gate can be narrow.

Errors are measured on the axes of Ohta, Kanade, Sakai, "Color information for region segmentation", 1980. They are
nearly the principal axes of natural colors. A pixel's brightness is hard to foresee, its hue is not. On these axes the
gate leaves an attacker no more room in hue than it has to.

The network is blind to the pixel that it predicts, and is trained on the images themselves. Source: Krull, Buchholz,
Jug, "Noise2Void: learning denoising from single noisy images", CVPR 2019.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelproof.models.purifiers.gate import FusedGate, replace_where, scaled, worst_around

WINDOW = 5
REACH = WINDOW // 2
_OHTA = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, 0.0, -1 / 2), (-1 / 4, 1 / 2, -1 / 4))
_SMALLEST_SCALE = 0.5  # pixel values: half a quantization step
_GRAY, _UNIT = 128, 64  # pixel values: the network's zero and one
_BEND = 4  # pixel values: the scale of a parameter of 0, the smallest scale left out
_ROUNDING = 0.51  # pixel values that rounding may move a color by on each of Ohta's axes, and float errors
_LEAST_VARIANCE = 1e-3  # of a direction that whitening still scales up to 1, in the network's units


class BlindPredictor(nn.Module):
    """Prediction and scale of each pixel from its window, the pixel itself left out.

    It is blind exactly: only the first layer has spatial extent, and its center is zero. Beyond the border it sees
    zeros and a channel that says so. Reflected padding would show border pixels to themselves.

    The first layer's weights are those for whitened windows: neighbors are so alike that gradient descent on plain
    ones is many times slower. Both matrices are constants, so that an exported graph holds their product alone.

    Args:
        width: hidden channels.
    """

    hole: Tensor
    whitening: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.window = nn.Conv2d(4, width, WINDOW, padding=REACH)
        self.hidden = nn.Conv2d(width, width, 1)
        self.output = nn.Conv2d(width, 6, 1)
        hole = torch.ones(1, 1, WINDOW, WINDOW)
        hole[..., REACH, REACH] = 0
        self.register_buffer("hole", hole, persistent=False)
        self.register_buffer("whitening", torch.eye(3 * WINDOW**2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`(n, 3, H, W)` on the 0..255 scale to prediction (likewise) and scale (pixel values, on Ohta's axes)."""
        return self._read(F.conv2d(_with_validity(images), self._weight(), self.window.bias, padding=REACH))

    def at(self, images: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The same at some positions alone, `(n, m)` rows and columns: prediction and scale `(n, 3, m, 1)`.

        Training on a random share of the positions learns as much from each image for a fraction of the work.
        """
        padded = F.pad(_with_validity(images), (REACH,) * 4).permute(0, 2, 3, 1)
        reach = torch.arange(WINDOW, device=images.device)
        which = torch.arange(len(images), device=images.device)[:, None, None, None]
        windows = padded[which, (rows[..., None] + reach)[..., None], (columns[..., None] + reach)[:, :, None]]
        features = F.linear(windows.flatten(2), self._weight().permute(0, 2, 3, 1).flatten(1), self.window.bias)
        return self._read(features.transpose(1, 2).unsqueeze(-1))

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Learn from now on as if the windows of `images`, uint8 `(n, 3, H, W)`, had uncorrelated values.

        ZCA: Bell, Sejnowski, "The 'independent components' of natural scenes are edge filters", 1997.
        """
        hole = self.hole.expand(-1, 3, -1, -1).flatten()
        windows = F.unfold(_with_validity(images.float())[:, :3], WINDOW).movedim(1, -1).flatten(0, 1) * hole
        covariance = windows.T @ windows / len(windows) + torch.diag(1 - hole)
        variance, directions = torch.linalg.eigh(covariance.double())
        whitened = directions / (variance.clamp(min=0) + _LEAST_VARIANCE).sqrt()
        self.whitening.copy_(whitened @ directions.T)

    @torch.no_grad()
    def fused(self, threshold: float) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """The three layers with units, mid-gray and `threshold` in their weights, as `FusedGate` takes them."""
        window, output, out = self._weight().double(), self.output.weight.double(), self.output
        assert self.window.bias is not None
        assert out.bias is not None
        colors = window[:, :3] / _UNIT
        # beyond the border the network saw mid-gray and no validity: one channel's weights make up for both
        inside = window[:, 3:] - colors.sum(1, keepdim=True) * _GRAY
        unit = torch.tensor([_UNIT] * 3 + [_BEND * threshold] * 3, dtype=torch.float64, device=output.device)
        gray = torch.tensor([_GRAY] * 3 + [0] * 3, dtype=torch.float64, device=output.device)
        return (
            scaled(self.window, torch.cat([colors, inside], dim=1), self.window.bias),
            self.hidden,
            scaled(out, output * unit.view(-1, 1, 1, 1), out.bias * unit + gray),
        )

    def _weight(self) -> Tensor:
        weight = self.window.weight
        colors = (weight[:, :3].flatten(1) @ self.whitening).view_as(weight[:, :3])
        return torch.cat([colors, weight[:, 3:]], dim=1) * self.hole

    def _read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        prediction, scale = self.output(F.relu(self.hidden(F.relu(features)))).split(3, dim=1)
        # the positive branch of a hyperbola: like softplus, and many times cheaper
        return prediction * _UNIT + _GRAY, (scale + (scale * scale + 1).sqrt()) * _BEND + _SMALLEST_SCALE


class Gated(nn.Module):
    """Pulls a pixel back towards its blind prediction where its error is beyond its scale and the worst around.

    Args:
        width: hidden channels of the predictor.
        threshold: error, in scales, from which a pixel is pulled back.
        rejection_threshold: error, in thresholds, from which the prediction replaces the pixel; above 1.
        share: share of the worst error in the neighborhood that a pixel's own must reach. An attacked pixel spoils
            the predictions of its neighbors, which must not be replaced for it.
    """

    axes: Tensor
    receptive_field = 2 * REACH
    """A radius: rows and columns from a changed pixel to the furthest output that it moves."""
    whole_values = True

    def __init__(
        self, width: int = 32, threshold: float = 4.0, rejection_threshold: float = 4.0, share: float = 1.0
    ) -> None:
        super().__init__()
        self.predictor = BlindPredictor(width)
        self.threshold = threshold
        self.rejection_threshold = rejection_threshold
        self.share = share
        self.register_buffer("axes", torch.tensor(_OHTA).view(3, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """The purified images, `(n, 3, H, W)` on the 0..255 scale."""
        prediction, scale = self.predictor(images)
        off = images - prediction
        error = (F.conv2d(off, self.axes).abs() / scale).amax(1, keepdim=True) / self.threshold
        worst = worst_around(error, REACH) * self.share
        # the worst pixel is not measured against itself, or the backward pass would not see its own error
        bar = (worst * (error < worst).to(error.dtype)).clamp(min=1)
        return replace_where(error - bar, images, prediction + off * self._kept(error))

    def fused(self) -> FusedGate:
        """The same purifier in the form that is shipped."""
        return FusedGate(
            *self.predictor.fused(self.threshold),
            self.axes,
            bend=_BEND * self.threshold,
            least=_SMALLEST_SCALE * self.threshold,
            rejection_threshold=self.rejection_threshold,
            share=self.share,
        )

    def _kept(self, error: Tensor) -> Tensor:
        """The share of its error that a pixel keeps: at the threshold all of it, at `rejection_threshold` none."""
        fading = (self.rejection_threshold - error) / (self.rejection_threshold - 1)
        return fading.clamp(0, 1) / error.clamp(min=1)

    def accepted_colors(self, images: Tensor) -> Tensor:
        """The extreme colors that are let pass at each position: uint8 `(n, H, W, 8, 3)`.

        They are the corners of the gate's parallelepiped in color space, cut to 0..255. Then they are drawn towards the
        prediction until they are inside again, rounding included. A worse pixel nearby lets yet others pass. Where
        the prediction leaves 0..255 so far that nothing is inside, they are the color that would replace the pixel.
        """
        prediction, scale = (values.movedim(1, -1).unsqueeze(-2) for values in self.predictor(images))
        reach = (self.threshold * scale - _ROUNDING).clamp(min=0)
        signs = torch.tensor([[1.0 if i >> c & 1 else -1.0 for c in range(3)] for i in range(8)], device=images.device)
        axes = self.axes[:, :, 0, 0]
        corners = (prediction + (signs * reach) @ torch.linalg.inv(axes).T).clamp(0, 255)
        center = prediction.clamp(0, 255)
        error, step = (center - prediction) @ axes.T, (corners - center) @ axes.T
        room = (reach - error * step.sign()) / step.abs().clamp(min=1e-6)
        share = room.amin(-1, keepdim=True).clamp(0, 1) * (error.abs() <= reach).all(-1, keepdim=True)
        levels: Tensor = (center + (corners - center) * share + 0.5).floor().to(torch.uint8)
        return levels


def _with_validity(images: Tensor) -> Tensor:
    """The network's input, `(n, 4, H, W)`: (color - mid-gray) / 64, and 1 inside the image."""
    return F.pad((images - _GRAY) / _UNIT, (0, 0, 0, 0, 0, 1), value=1.0)

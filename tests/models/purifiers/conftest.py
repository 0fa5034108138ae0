"""Real images, attacked ones, and gates to test on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelproof.models import build_purifier
from pixelproof.models.data import sample
from pixelproof.models.purifiers.gated import REACH, Gated


@pytest.fixture(scope="session")
def real_images() -> Tensor:
    """20 sample images, two a class: float32 `(20, 3, 32, 32)` on the 0..255 scale."""
    shipped = sample()
    chosen = [index for name in range(10) for index in np.flatnonzero(shipped.labels == name)[:2]]
    return torch.from_numpy(shipped.images[chosen]).permute(0, 3, 1, 2).float().contiguous()


@pytest.fixture(scope="session")
def attacked_images(real_images: Tensor) -> Tensor:
    """The same with three pixels each at corners of the color cube."""
    generator = torch.Generator().manual_seed(0)
    images = real_images.clone().flatten(2)
    for _ in range(3):
        position = torch.randint(0, images.shape[2], (len(images), 1, 1), generator=generator)
        color = torch.randint(0, 2, (len(images), 3, 1), generator=generator) * 255.0
        images.scatter_(2, position.expand(-1, 3, -1), color)
    return images.view_as(real_images)


def random_gate() -> Gated:
    """Random weights, scaled up so that predictions leave 0..255 and scales differ widely."""
    torch.manual_seed(0)
    gated = Gated()
    with torch.no_grad():
        gated.predictor.output.weight *= 20
    return gated.requires_grad_(False).eval()


def neighbor_mean_gate() -> Gated:
    """Predicts the mean of the eight neighbors, at a scale of 4 levels: what it does is easily foretold."""
    gated = Gated().requires_grad_(False).eval()
    predictor = gated.predictor
    for layer in (predictor.window, predictor.hidden, predictor.output):
        layer.weight.zero_()
        layer.bias.zero_()
    for channel in range(3):
        for unit, sign in ((2 * channel, 1.0), (2 * channel + 1, -1.0)):  # the two halves of a value, around ReLU
            predictor.window.weight[unit, channel, REACH - 1 : REACH + 2, REACH - 1 : REACH + 2] = sign / 8
            predictor.hidden.weight[unit, unit] = 1
            predictor.output.weight[channel, unit] = sign
    predictor.output.bias[3:] = (0.875**2 - 1) / (2 * 0.875)  # where 4 * (z + sqrt(z^2 + 1)) + 0.5 is 4
    return gated


def shipped_gate() -> Gated:
    """The trained one."""
    gated = build_purifier("gated").requires_grad_(False)
    assert isinstance(gated, Gated)
    return gated


GATES = {"random": random_gate, "neighbor mean": neighbor_mean_gate, "shipped": shipped_gate}


@pytest.fixture(params=GATES)
def gated(request: pytest.FixtureRequest) -> Gated:
    """Each gate in turn."""
    return GATES[request.param]()


@pytest.fixture
def neighbor_mean() -> Gated:
    """The gate whose behavior is easily foretold."""
    return neighbor_mean_gate()


@pytest.fixture(scope="session")
def lattice_passes():
    """`lattice_passes(purifier, images, step)`: is each color of `accepted_colors()` let pass? bool `(n, 8, H, W)`.

    Positions `step` apart, which do not see one another, are changed at once.
    """

    @torch.no_grad()
    def check(purifier: torch.nn.Module, images: Tensor, step: int, colors: Tensor) -> Tensor:
        passed = torch.zeros(len(images), 8, *images.shape[-2:], dtype=torch.bool)
        for which in range(8):
            for row in range(step):
                for column in range(step):
                    at = (..., slice(row, None, step), slice(column, None, step))
                    changed = images.clone()
                    changed[at] = colors[:, :, :, which].permute(0, 3, 1, 2)[at]
                    passed[:, which][at] = (purifier(changed) == changed).all(1)[at]
        return passed

    return check

"""The shipped form of the gate gives what the gate itself gives."""

import pytest
import torch
from torch import Tensor

from pixelproof.models.purifiers.gated import REACH, Gated


@torch.no_grad()
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_same_images_come_out(gated: Gated, attacked_images: Tensor, share: float):
    gated.share = share
    expected, got = gated(attacked_images), gated.folded()(attacked_images)
    assert (expected != attacked_images).any(1).sum() > 50
    # a tie may be told the other way, and then a pixel that is hardly pulled moves by a level
    assert (expected != got).float().mean() < 1e-4
    assert (expected - got).abs().max() <= 1


@torch.no_grad()
def test_settings_are_folded_in(gated: Gated, attacked_images: Tensor):
    gated.threshold, gated.hopeless = 2.5, 7.0
    expected, got = gated(attacked_images), gated.folded()(attacked_images)
    assert (expected != got).float().mean() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (5, 9)])
def test_the_folded_prediction_is_blind_too(gated: Gated, real_images: Tensor, size: tuple[int, int]):
    """A pixel of any color leaves what is predicted for it bit-equal, next to the border, too."""
    images = real_images[:2, :, : size[0], : size[1]]
    window, hidden, output = gated.predictor.folded(gated.threshold)

    def predicted(levels: Tensor) -> Tensor:
        shown = torch.nn.functional.pad(levels, (0, 0, 0, 0, 0, 1), value=1.0)
        return output(torch.relu(hidden(torch.relu(window(shown)))))

    before = predicted(images)
    for row in {0, 1, size[0] // 2, size[0] - 1}:
        for column in {0, REACH, size[1] - 2, size[1] - 1}:
            changed = images.clone()
            changed[:, :, row, column] = 255 - changed[:, :, row, column]
            assert torch.equal(predicted(changed)[:, :, row, column], before[:, :, row, column])


@torch.no_grad()
def test_an_exact_prediction_leaves_the_pixel(neighbor_mean: Gated):
    flat = torch.full((1, 3, 8, 8), 128.0)  # mid-gray: what it sees beyond the border, too
    assert torch.equal(neighbor_mean.folded()(flat), flat)

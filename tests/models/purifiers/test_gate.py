"""The gate: exact values, the gradient that stands in for the step's, and the fused form that is shipped."""

import pytest
import torch
from torch import Tensor

from pixelproof.models.purifiers.gate import TEMPERATURE, replace_where
from pixelproof.models.purifiers.gated import REACH, Gated


def tensors(margins: list[float], image: float, filling: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    margin = torch.tensor(margins).view(1, 1, 1, -1)
    return margin, torch.full((1, 3, 1, len(margins)), image), torch.full((1, 3, 1, len(margins)), filling)


def test_from_margin_zero_on_the_rounded_filling_stands_in():
    margin, images, filling = tensors([-1.0, -1e-6, 0.0, 1e-6, 1.0], 7.0, 99.5)
    assert replace_where(margin, images, filling)[0, 0, 0].tolist() == [7, 7, 100, 100, 100]


def test_fillings_are_clipped_to_levels():
    for filling, level in ((-3.7, 0.0), (254.4, 254.0), (255.5, 255.0), (300.0, 255.0)):
        margin, images, fillings = tensors([0.0], 7.0, filling)
        assert replace_where(margin, images, fillings).unique().tolist() == [level]


def test_the_margins_gradient_is_that_of_a_sigmoid():
    margin, images, filling = tensors([-0.3, -0.05, 0.0, 0.05, 0.3], 7.0, 99.5)
    margin.requires_grad_()
    images.requires_grad_()
    replace_where(margin, images, filling).sum().backward()
    soft = torch.sigmoid(margin.detach() / TEMPERATURE)
    expected = soft * (1 - soft) / TEMPERATURE * 3 * (100 - 7)
    assert margin.grad is not None
    torch.testing.assert_close(margin.grad, expected)


def test_the_gradient_follows_the_value_that_was_taken():
    margin, images, filling = tensors([-0.5, 0.5], 7.0, 99.5)
    images.requires_grad_()
    filling.requires_grad_()
    replace_where(margin, images, filling).sum().backward()
    assert images.grad is not None
    assert filling.grad is not None
    assert images.grad[0, 0, 0].tolist() == [1, 0]
    assert filling.grad[0, 0, 0].tolist() == [0, 1]


def test_asking_for_a_gradient_changes_no_bit():
    generator = torch.Generator().manual_seed(0)
    margin = torch.randn(4, 1, 16, 16, generator=generator)
    images = torch.randint(0, 256, (4, 3, 16, 16), generator=generator).float()
    filling = torch.rand(4, 3, 16, 16, generator=generator) * 300 - 20
    exact = replace_where(margin, images, filling)
    assert torch.equal(replace_where(margin, images.clone().requires_grad_(), filling), exact)


@torch.no_grad()
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_fused_gate_returns_the_same_images(gated: Gated, attacked_images: Tensor, share: float):
    gated.share = share
    expected, got = gated(attacked_images), gated.fused()(attacked_images)
    assert (expected != attacked_images).any(1).sum() > 50
    # a tie may be decided the other way, and then a pixel that is hardly pulled moves by 1
    assert (expected != got).float().mean() < 1e-4
    assert (expected - got).abs().max() <= 1


@torch.no_grad()
def test_settings_are_fused_in(gated: Gated, attacked_images: Tensor):
    gated.threshold, gated.rejection_threshold = 2.5, 7.0
    expected, got = gated(attacked_images), gated.fused()(attacked_images)
    assert (expected != got).float().mean() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (5, 9)])
def test_the_fused_prediction_is_blind_too(gated: Gated, real_images: Tensor, size: tuple[int, int]):
    """A pixel of any color leaves what is predicted for it bit-equal, next to the border, too."""
    images = real_images[:2, :, : size[0], : size[1]]
    window, hidden, output = gated.predictor.fused(gated.threshold)

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
    assert torch.equal(neighbor_mean.fused()(flat), flat)

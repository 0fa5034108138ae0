"""The paper's autoencoder: any size, the 0..255 scale, and nothing that goes around the code."""

import pytest
import torch
from torch import Tensor

from pixelproof.models import build_purifier
from pixelproof.models.purifiers.autoencoder import Autoencoder


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (9, 13), (96, 64), (5, 6)])
def test_every_size_is_kept(size: tuple[int, int]):
    torch.manual_seed(0)
    images = torch.rand(2, 3, *size) * 255
    reconstruction = Autoencoder().eval()(images)
    assert reconstruction.shape == images.shape
    assert reconstruction.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (9, 13), (5, 6)])
def test_before_training_it_is_the_identity(size: tuple[int, int], real_images: Tensor):
    """Borders, odd sizes and both signs of every value included: else training starts by learning to copy."""
    images = real_images[:4, :, : size[0], : size[1]]
    torch.testing.assert_close(Autoencoder(width=30, code=100)(images), images, atol=1e-3, rtol=0)


def test_what_is_not_carried_starts_random_and_learns(real_images: Tensor):
    torch.manual_seed(0)
    network = Autoencoder()
    network(real_images[:4]).square().sum().backward()
    spare = network.encode_half.weight[24:]
    assert spare.std() > 0.01
    assert network.decode_full.weight.grad is not None
    assert network.decode_full.weight.grad[:, 24:].abs().amax((0, 2, 3)).count_nonzero() > 12


@torch.no_grad()
def test_the_code_is_a_quarter_of_the_size_and_all_that_gets_through(real_images: Tensor):
    network = Autoencoder().eval()
    codes = []
    hook = network.encode_quarter.register_forward_hook(lambda _, __, code: codes.append(code))
    first, second = network(real_images[:2])
    hook.remove()
    assert codes[0].shape == (2, 112, 8, 8)
    assert not torch.equal(first, second)
    network.encode_quarter.register_forward_hook(lambda _, __, code: torch.zeros_like(code))
    first, second = network(real_images[:2])
    assert torch.equal(first, second)


@torch.no_grad()
def test_the_shipped_one_copies_clean_images_and_takes_a_glaring_pixel_out(real_images: Tensor):
    network = build_purifier("autoencoder").eval()
    assert (network(real_images) - real_images).abs().mean() < 2
    attacked = real_images.clone()
    attacked[:, :, 16, 16] = torch.where(real_images[:, :, 16, 16] < 128, 255.0, 0.0)
    before = (attacked - real_images)[:, :, 16, 16].abs().mean()
    assert (network(attacked) - real_images)[:, :, 16, 16].abs().mean() < before / 8

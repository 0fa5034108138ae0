"""The paper's autoencoder: any size, the 0..255 scale, and nothing that goes around the code."""

import pytest
import torch

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
def test_the_code_is_a_quarter_of_the_size_and_all_that_gets_through():
    torch.manual_seed(0)
    network = Autoencoder(width=8).eval()
    codes = []
    hook = network.encode_quarter.register_forward_hook(lambda _, __, code: codes.append(code))
    images = torch.rand(2, 3, 32, 32) * 255
    first, second = network(images)
    hook.remove()
    assert codes[0].shape == (2, 16, 8, 8)
    assert not torch.equal(first, second)
    network.encode_quarter.register_forward_hook(lambda _, __, code: torch.zeros_like(code))
    first, second = network(images)
    assert torch.equal(first, second)

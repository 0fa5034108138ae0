"""The median gate against a slow reference, its box exactly at the boundary, and its backward pass."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelproof.models.purifiers.median import Median, sorted_neighbors


def reflected(index: int, size: int) -> int:
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


def neighbors(image: np.ndarray, row: int, column: int) -> np.ndarray:
    around = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    height, width, _ = image.shape
    return np.stack([image[reflected(r, height), reflected(c, width)] for r, c in around])


def reference(image: np.ndarray) -> np.ndarray:
    """One image `(H, W, 3)`, pixel by pixel."""
    result = image.copy()
    for row, column in np.ndindex(image.shape[:2]):
        ranked = np.sort(neighbors(image, row, column), axis=0)
        pixel = image[row, column]
        if (ranked[0] - pixel > 32).any() or (pixel - ranked[7] > 32).any():
            result[row, column] = ranked[3]
    return result


def assert_like_the_reference(images: Tensor) -> None:
    expected = np.stack([reference(image) for image in images.permute(0, 2, 3, 1).numpy()])
    assert (expected != images.permute(0, 2, 3, 1).numpy()).any()
    np.testing.assert_array_equal(Median()(images).permute(0, 2, 3, 1), expected)


def test_real_images_come_out_like_the_references(attacked_images: Tensor):
    assert_like_the_reference(attacked_images[:8])


@pytest.mark.parametrize("size", [(9, 13), (7, 4), (3, 3), (2, 5)])
def test_random_images_come_out_like_the_references(size: tuple[int, int]):
    assert_like_the_reference(torch.randint(0, 256, (8, 3, *size), generator=torch.Generator().manual_seed(1)).float())


def test_neighbors_are_sorted_whatever_they_are():
    """By the 0-1 principle, comparators that sort every sequence of zeros and ones sort everything."""
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)))
    around = torch.cat([patterns[:, :4], torch.full((256, 1), 0.5), patterns[:, 4:]], dim=1)
    ranked = sorted_neighbors(around.view(256, 1, 3, 3).expand(-1, 3, -1, -1))
    center = torch.stack([rank[:, :, 1, 1] for rank in ranked], dim=-1)
    assert torch.equal(center, patterns.sort(dim=1).values[:, None].expand(-1, 3, -1))


def test_an_attacked_pixel_is_mended_and_a_soft_image_passes(real_images: Tensor):
    ramp = torch.arange(32).float().expand(2, 3, 32, 32).clone()
    assert torch.equal(Median()(ramp), ramp)
    attacked = ramp.clone()
    attacked[:, :, 20, 11] = 255.0
    mended = Median()(attacked)
    assert torch.equal(mended[:, :, 20, 11], torch.full((2, 3), 11.0))  # of 10, 10, 10, 11, 11, 12, 12, 12
    mended[:, :, 20, 11] = attacked[:, :, 20, 11]
    assert torch.equal(mended, attacked)
    assert (Median()(real_images) != real_images).any(1).float().mean() < 0.05


@pytest.mark.parametrize("kind", ["real", "random"])
def test_colors_in_the_box_pass_and_one_level_more_does_not(kind: str, real_images: Tensor, lattice_passes):
    generator = torch.Generator().manual_seed(2)
    random_images = torch.randint(0, 256, (4, 3, 9, 13), generator=generator).float()
    images = real_images[:3] if kind == "real" else random_images
    median = Median()
    colors = median.accepted_colors(images)
    assert colors.dtype == torch.uint8
    assert colors.shape == (len(images), *images.shape[-2:], 8, 3)
    assert lattice_passes(median, images, 2, colors).all()
    center = colors.float().mean(-2, keepdim=True)
    for channel in range(3):
        beyond = colors.float()
        beyond[..., channel] += (beyond[..., channel] - center[..., channel]).sign()
        inside_cube = ((beyond >= 0) & (beyond <= 255)).all(-1)  # at the ends of the scale there is no more
        passed = lattice_passes(median, images, 2, beyond.clamp(0, 255))
        assert torch.equal(passed.permute(0, 2, 3, 1), ~inside_cube)


def test_the_gradient_goes_through_the_gate():
    images = torch.full((1, 3, 5, 5), 100.0)
    images[0, 0, 2, 2] = 133.0  # the first level that is replaced: margin 0, where the sigmoid rises by 1 / (4 * 0.1)
    images.requires_grad_()
    output = Median()(images)
    assert output[0, 0, 2, 2] == 100
    (gradient,) = torch.autograd.grad(output[0, 0, 2, 2], images)
    assert gradient[0, 0, 2, 2].item() == pytest.approx((100 - 133) / (4 * 0.1) / 32)
    assert gradient[0, 0].sum() - gradient[0, 0, 2, 2] != 0  # the median's own, on a neighbor
    assert gradient[0, 1:].abs().sum() == 0

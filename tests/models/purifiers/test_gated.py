"""The learned gate: against a slow reference, the colors it lets pass, several attacked pixels, its backward pass."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelproof.models import build_purifier
from pixelproof.models.purifiers.gate import worst_around
from pixelproof.models.purifiers.gated import REACH, Gated
from pixelproof.models.purifiers.median import Median


def reference(gated: Gated, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What comes out `(n, H, W, 3)` before rounding, and where two float orders could tell differently `(n, H, W)`."""
    values, prediction, scale = (
        tensor.permute(0, 2, 3, 1).numpy().astype(np.float64) for tensor in (images, *gated.predictor(images))
    )
    red, green, blue = np.moveaxis(values - prediction, -1, 0)
    axes = [(red + green + blue) / 3, (red - blue) / 2, (2 * green - red - blue) / 4]
    error = np.max([np.abs(axis) / scale[..., index] for index, axis in enumerate(axes)], axis=0)
    result, doubtful = values.copy(), np.zeros(error.shape, bool)
    for image, row, column in np.ndindex(error.shape):
        around = error[image, max(row - REACH, 0) : row + REACH + 1, max(column - REACH, 0) : column + REACH + 1].copy()
        around[min(row, REACH), min(column, REACH)] = 0
        bar = max(gated.threshold, gated.share * around.max())
        own, center = error[image, row, column], prediction[image, row, column]
        doubtful[image, row, column] = abs(own - bar) < 1e-4 * bar
        if own >= bar:
            end = gated.threshold * gated.rejection_threshold
            kept = gated.threshold / own * max(0, (end - own) / (end - gated.threshold))
            result[image, row, column] = (center + (values[image, row, column] - center) * kept).clip(0, 255)
    return result, doubtful


@torch.no_grad()
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_real_images_come_out_like_the_references(gated: Gated, attacked_images: Tensor, share: float):
    gated.share = share
    images = attacked_images[:10, :, :19, 3:]
    expected, doubtful = reference(gated, images)
    got = gated(images).permute(0, 2, 3, 1).numpy()
    assert (expected != images.permute(0, 2, 3, 1).numpy()).any(-1).sum() > 5
    assert doubtful.mean() < 1e-3
    np.testing.assert_array_equal(got, got.round())
    np.testing.assert_array_less(np.abs(got - expected)[~doubtful], 0.5 + 1e-3)


@torch.no_grad()
def test_whole_values_stay_whole_and_few_clean_pixels_change(gated: Gated, real_images: Tensor):
    purified = gated(real_images)
    assert torch.equal(purified, purified.round().clamp(0, 255))
    assert (purified != real_images).any(1).float().mean() < 0.05


@torch.no_grad()
def test_a_changed_pixel_ends_between_itself_and_its_prediction(gated: Gated, attacked_images: Tensor):
    purified, prediction = gated(attacked_images), gated.predictor(attacked_images)[0].clamp(0, 255)
    low, high = torch.minimum(prediction, attacked_images), torch.maximum(prediction, attacked_images)
    assert (purified >= low - 0.51).all()
    assert (purified <= high + 0.51).all()


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (9, 13)])
def test_every_color_it_names_passes(gated: Gated, real_images: Tensor, lattice_passes, size: tuple[int, int]):
    images = real_images[:, :, : size[0], : size[1]][:: 1 if size == (9, 13) else 8]
    gated.share = 0.0  # no pixel is shielded by a worse one
    colors = gated.accepted_colors(images)
    assert colors.dtype == torch.uint8
    assert colors.shape == (len(images), *size, 8, 3)
    assert lattice_passes(gated, images, REACH + 1, colors).all()


@torch.no_grad()
def test_the_colors_are_the_extreme_ones(gated: Gated, real_images: Tensor):
    """Each lies within rounding (1.02 levels) of the gate's threshold, or at an end of the scale."""
    images = real_images[::4]
    prediction, scale = (values.movedim(1, -1).unsqueeze(-2) for values in gated.predictor(images))
    colors = gated.accepted_colors(images).float()
    slack = gated.threshold * scale - ((colors - prediction) @ gated.axes[:, :, 0, 0].T).abs()
    at_gate = slack.amin(-1) < 1.05
    at_end = ((colors == 0) | (colors == 255)).any(-1)
    assert (at_gate | at_end).all()
    assert at_gate.any()
    reach = gated.threshold * scale.amax(-1, keepdim=True) * 8 / 3  # of any corner, in any channel
    free = ((prediction >= reach) & (prediction <= 255 - reach)).all(-1).squeeze(-1)
    octants = ((colors - prediction) @ gated.axes[:, :, 0, 0].T > 0).long() @ torch.tensor([1, 2, 4])
    assert (octants[free].sort(-1).values == torch.arange(8)).all()


@torch.no_grad()
def test_the_worst_around_is_that_of_the_predictors_window():
    error = torch.rand(2, 1, 9, 13, generator=torch.Generator().manual_seed(0))
    worst = worst_around(error, REACH)
    for row, column in np.ndindex(9, 13):
        window = error[:, :, max(row - REACH, 0) : row + REACH + 1, max(column - REACH, 0) : column + REACH + 1]
        assert torch.equal(worst[:, :, row, column], window.amax((2, 3)))


def two_pixels(distance: tuple[int, int]) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
    """A gray image with a white pixel and, `distance` rows and columns away, a light one."""
    images = torch.full((1, 3, 24, 24), 128.0)
    first, second = (10, 10), (10 + distance[0], 10 + distance[1])
    images[0, :, *first] = 255.0
    images[0, :, *second] = 230.0
    return images, first, second


@torch.no_grad()
@pytest.mark.parametrize("distance", [(0, 3), (3, 0), (3, 3), (1, 3), (-3, 2), (0, 9)])
def test_both_of_two_pixels_beyond_one_window_are_replaced(neighbor_mean: Gated, distance: tuple[int, int]):
    images, first, second = two_pixels(distance)
    purified = neighbor_mean(images)
    assert (purified[0, :, *first] == 128).all()
    assert (purified[0, :, *second] == 128).all()
    assert (purified != images).any(1).sum() == 2


@torch.no_grad()
@pytest.mark.parametrize("distance", [(0, 2), (2, 2), (-2, 1), (0, -2)])
def test_within_one_window_the_worst_shields_the_other(neighbor_mean: Gated, distance: tuple[int, int]):
    """What a share of 1 does to decoys: a pixel that alone would be replaced passes beside a worse one."""
    images, first, second = two_pixels(distance)
    alone = images.clone()
    alone[0, :, *first] = 128
    assert (neighbor_mean(alone)[0, :, *second] == 128).all()
    purified = neighbor_mean(images)
    assert (purified[0, :, *first] == 128).all()
    assert (purified[0, :, *second] == 230).all()
    neighbor_mean.share = 0.5
    assert torch.equal(neighbor_mean(images), torch.full_like(images, 128))


def replaced(gated: Gated, images: Tensor, places: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Which of the pixels, set to the opposite corner of the color cube, are replaced: `(places, n)`."""
    which, attacked = np.arange(len(images)), images.clone()
    for rows, columns in places:
        attacked[which, :, rows, columns] = torch.where(attacked[which, :, rows, columns] > 127, 0.0, 255.0)
    changed = (gated(attacked) != attacked).any(1).numpy()
    return np.stack([changed[which, rows, columns] for rows, columns in places])


@torch.no_grad()
def test_the_shipped_gate_finds_pixels_of_real_images(real_images: Tensor):
    gated = build_purifier("gated")
    assert isinstance(gated, Gated)
    rows, columns = np.random.default_rng(0).integers(0, 32, (2, 10, len(real_images)))
    images = real_images.repeat(10, 1, 1, 1)
    first = (rows.ravel(), columns.ravel())
    far = ((first[0] + 16) % 32, (first[1] + 5) % 32)
    near = (np.where(first[0] < 16, first[0] + 2, first[0] - 2), first[1])
    assert replaced(gated, images, [first]).mean() > 0.95
    assert replaced(gated, images, [first, far]).all(0).mean() > 0.9
    assert replaced(gated, images, [first, near]).sum(0).max() == 1


@torch.no_grad()
def test_neighbors_of_an_attacked_pixel_are_not_replaced_for_it(neighbor_mean: Gated):
    images = torch.full((1, 3, 9, 9), 128.0)
    images[0, :, 4, 4] = 0.0
    neighbor_mean.threshold = 3.0
    error = (images - neighbor_mean.predictor(images)[0]).abs() / 4
    assert (error[0, 0] >= neighbor_mean.threshold).sum() == 9  # all see the black pixel, or are it
    assert torch.equal(neighbor_mean(images), torch.full_like(images, 128))


def test_asking_for_a_gradient_changes_no_bit(gated: Gated, attacked_images: Tensor):
    for purifier in (gated, Median()):
        exact = purifier(attacked_images)
        assert torch.equal(purifier(attacked_images.clone().requires_grad_()), exact)


@pytest.mark.parametrize(
    ("level", "expected"), [(139.5, 139.5), (140.5, 140), (170.0, 130), (190.0, 123), (220.0, 120)]
)
def test_the_further_off_a_pixel_is_the_more_it_is_pulled(neighbor_mean: Gated, level: float, expected: float):
    """20 levels, 5 scales of 4, pass; beyond, fewer and fewer of them are kept, up to 4 times as many."""
    neighbor_mean.threshold, neighbor_mean.rejection_threshold = 5.0, 4.0
    images = torch.full((1, 3, 9, 9), 120.0)
    images[0, :, 4, 4] = level
    with torch.no_grad():
        assert neighbor_mean(images)[0, :, 4, 4].tolist() == [expected] * 3


@pytest.mark.parametrize("level", [139.5, 140.5, 170.0, 220.0])
def test_the_gradient_goes_through_the_gate(neighbor_mean: Gated, level: float):
    """The gate opens 20 levels off; a step of the pixel moves it by a sigmoid's slope, and what it yields besides."""
    neighbor_mean.threshold, neighbor_mean.rejection_threshold = 5.0, 4.0
    images = torch.full((1, 3, 9, 9), 120.0)
    images[0, :, 4, 4] = level
    images.requires_grad_()
    output = neighbor_mean(images)[0, 0, 4, 4]
    (gradient,) = torch.autograd.grad(output, images)
    off = level - 120
    error, open_ = off / 20, off >= 20

    def kept(error: float) -> float:
        return min(max((4 - error) / 3, 0), 1) / max(error, 1)

    soft = 1 / (1 + np.exp(-(error - 1) / 0.1))
    filling = np.floor(120 + off * kept(error) + 0.5)
    of_error = soft * (1 - soft) / 0.1 * (filling - level)
    of_error += open_ * off * (kept(error + 1e-6) - kept(error - 1e-6)) / 2e-6
    by_brightness = of_error / 20 / 3  # a third of a level of brightness a channel
    own = kept(error) if open_ else 1
    assert gradient[0, 1, 4, 4].item() == pytest.approx(by_brightness, rel=1e-3, abs=1e-5)
    assert gradient[0, 0, 4, 4].item() == pytest.approx(by_brightness + own, rel=1e-3, abs=1e-5)
    through_prediction = (1 - own - by_brightness) / 8  # of the filling, and of the error
    assert gradient[0, 0, 3, 5].item() == pytest.approx(through_prediction, rel=1e-3, abs=1e-5)

"""Augmentation against slow references: what changes, what does not, and that the generator alone decides."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from pixelproof.models.training import augment


def numbered(count: int = 8, height: int = 6, width: int = 5) -> Tensor:
    """Images in which every value is another one, none 0."""
    return torch.arange(1.0, count * 3 * height * width + 1).view(count, 3, height, width)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "flip": augment.flip,
    "crop": lambda images, generator: augment.crop(images, 2, generator),
    "cutout": lambda images, generator: augment.cutout(images, 2, generator),
    "corrupt": lambda images, generator: augment.corrupt(images, 2, generator)[0],
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_generator_decides_and_the_original_stays(name: str):
    change, images = AUGMENTATIONS[name], numbered()
    before = images.clone()
    first = change(images, seeded(1))
    assert torch.equal(images, before)
    assert not torch.equal(first, images)
    torch.manual_seed(99)  # the global one has no say
    assert torch.equal(change(images, seeded(1)), first)
    assert not torch.equal(change(images, seeded(2)), first)


def test_each_image_is_mirrored_or_not():
    images = numbered(400, 2, 3)
    flipped = augment.flip(images, seeded())
    mirrored = (flipped == images.flip(3)).all(3).all(2).all(1)
    same = (flipped == images).all(3).all(2).all(1)
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def shifted(image: Tensor, rows: int, columns: int) -> Tensor:
    """Pixel by pixel, black from beyond the border."""
    result = torch.zeros_like(image)
    for row, column in product(range(image.shape[1]), range(image.shape[2])):
        if 0 <= row + rows < image.shape[1] and 0 <= column + columns < image.shape[2]:
            result[:, row, column] = image[:, row + rows, column + columns]
    return result


def test_each_image_is_shifted_by_up_to_the_margin():
    images = numbered(200)
    cropped = augment.crop(images, 2, seeded())
    shifts = list(product(range(-2, 3), repeat=2))
    found = []
    for image, result in zip(images, cropped, strict=True):
        fitting = [shift for shift in shifts if torch.equal(shifted(image, *shift), result)]
        assert len(fitting) == 1
        found += fitting
    assert set(found) == set(shifts)


@pytest.mark.parametrize("side", [2, 3])
def test_a_square_is_blackened_that_may_reach_over_the_border(side: int):
    images = numbered(300)
    rows, columns = set(), set()
    for image, result in zip(images, augment.cutout(images, side, seeded()), strict=True):
        black = (result == 0).all(0)
        assert torch.equal(result, image.masked_fill(black, 0))
        where = black.nonzero()
        top, left = where.min(0).values.tolist()
        bottom, right = where.max(0).values.tolist()
        assert len(where) == (bottom - top + 1) * (right - left + 1)
        rows.add((top, bottom))
        columns.add((left, right))
    assert {bottom - top + 1 for top, bottom in rows if top > 0 and bottom < 5} == {side}
    assert {top for top, _ in rows} >= {0, 1, 2, 3, 4}
    assert {right - left + 1 for left, right in columns if left > 0 and right < 4} <= {side}


@pytest.mark.parametrize("count", [1, 4])
def test_some_pixels_get_another_color(count: int):
    images = torch.full((500, 3, 6, 5), -1.0)  # no level, so that every changed pixel shows
    corrupted, mask = augment.corrupt(images, count, seeded())
    assert torch.equal((corrupted != images).all(1, keepdim=True), mask.bool())
    assert torch.equal((corrupted != images).any(1, keepdim=True), mask.bool())
    changed = mask.sum((1, 2, 3))
    assert changed.max() == count
    assert changed.min() >= 1  # two positions may be the same
    if count == 1:
        assert (changed == 1).all()
    assert (mask.sum(0) > 0).all()  # every position gets its turn
    colors = corrupted.movedim(1, -1)[mask[:, 0].bool()]
    assert torch.equal(colors, colors.round().clamp(0, 255))
    corners = ((colors == 0) | (colors == 255)).all(1)
    assert 0.4 < corners.float().mean() < 0.6
    assert len(colors[corners].unique(dim=0)) == 8
    assert len(colors[~corners].unique()) > 150

"""A first convolution that whitens real images."""

import torch
from torch import Tensor

from pixelproof.models import build_classifier
from pixelproof.models.data import sample
from pixelproof.models.training.whitening import whiten


def responses(name: str, images: Tensor) -> tuple[Tensor, int]:
    """What the first convolution of `name` gives at each position, `(filters, positions)`, and its input values."""
    torch.manual_seed(0)
    module = build_classifier(name, trained=False)
    whiten(module, images)
    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    with torch.no_grad():
        seen = torch.nn.functional.conv2d(module.normalise(images), first.weight)
    return seen.transpose(0, 1).flatten(1), first.weight[0].numel()


def correlations(seen: Tensor) -> Tensor:
    return (seen @ seen.T / seen.shape[1]).abs()


def test_pairs_of_signs_where_there_are_filters_enough():
    images = torch.from_numpy(sample().images).permute(0, 3, 1, 2).float() / 255
    seen, inputs = responses("nin", images)
    directions = seen[: 2 * inputs]
    assert torch.allclose(directions[::2], -directions[1::2], atol=1e-4)
    together = correlations(directions[::2])
    strong = together.diagonal() > 0.5  # of the faintest, the least variance leaves less than 1
    assert strong.sum() > inputs / 2
    assert together.diagonal().max() < 1.01
    assert (together - together.diagonal().diag()).max() < 0.01


def test_the_first_directions_where_there_are_fewer_filters():
    images = torch.from_numpy(sample().images).permute(0, 3, 1, 2).float() / 255
    seen, inputs = responses("wide_resnet", images)
    assert len(seen) < inputs
    assert torch.allclose(correlations(seen), torch.eye(len(seen)), atol=0.05)

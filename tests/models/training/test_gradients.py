"""A recording on a GPU gives what the same operations give one by one."""

import copy

import pytest
import torch

from pixelproof.models import build_classifier
from pixelproof.models.data import sample
from pixelproof.models.training import Recipe
from pixelproof.models.training.gradients import Recorded, backward
from pixelproof.models.training.tasks import Classification, Task


def flat_gradients(task: Task) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten().float() for parameter in task.module.parameters()])


def test_gradients_do_not_add_up():
    task = Classification(build_classifier("lenet"), Recipe(epochs=1))
    drawn = torch.from_numpy(sample().images[:8]).permute(0, 3, 1, 2) / 255, torch.from_numpy(sample().labels[:8])
    losses, gradients = zip(*[(backward(task, drawn), flat_gradients(task)) for _ in range(2)], strict=True)
    assert losses[0] == losses[1]
    assert not losses[0].requires_grad
    assert torch.equal(*gradients)
    assert gradients[0].any()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["resnet", "densenet"])
def test_a_recording_gives_what_single_operations_give(name: str):
    """Two sizes of images in turns, each time other images; their means and variances are noted as often."""
    torch.manual_seed(0)
    recipe = Recipe(epochs=1, sides=((0.5, 24),))
    module = build_classifier(name, trained=False).cuda().to(memory_format=torch.channels_last)
    recorded, single = (Classification(copy.deepcopy(module), recipe) for _ in range(2))
    play = Recorded(recorded)
    images = torch.from_numpy(sample().images).permute(0, 3, 1, 2).contiguous().cuda()
    labels, generator = torch.from_numpy(sample().labels).cuda(), torch.Generator().manual_seed(0)
    for turn in range(6):
        chosen = slice(32 * turn, 32 * (turn + 1))
        drawn = recorded.draw(images[chosen], labels[chosen], generator, done=turn % 2)
        loss, expected = play(drawn).item(), backward(single, drawn).item()
        assert loss == pytest.approx(expected, rel=0.02)
        found, right = flat_gradients(recorded), flat_gradients(single)
        assert torch.cosine_similarity(found, right, dim=0) > 0.99
        assert found.norm().item() == pytest.approx(right.norm().item(), rel=0.1)
    for found, right in zip(recorded.module.buffers(), single.module.buffers(), strict=True):
        torch.testing.assert_close(found.float(), right.float(), rtol=0.05, atol=0.02)

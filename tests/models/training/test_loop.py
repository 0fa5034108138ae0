"""The loop's parts: schedule, weight decay, averaging, gradients, and the figures of an evaluation."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pixelproof.models import build_classifier
from pixelproof.models.data import ImageSet, sample
from pixelproof.models.training import Recipe
from pixelproof.models.training.loop import Loop, Recorded, backward, evaluate, make_optimizer, one_cycle
from pixelproof.models.training.run import make_task, to_tensors
from pixelproof.models.training.tasks import Classification, Task


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    assert [one_cycle(done, 0.2) for done in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert one_cycle(0, 0) == 1


def test_every_step_takes_the_schedules_rate(tiny_set: ImageSet, short_recipes: dict[str, Recipe]):
    recipe = replace(short_recipes["lenet"], epochs=2, warmup=0.25, peak_rate=1e-3)
    loop = Loop(make_task("lenet", recipe, "cpu"), recipe, *to_tensors(tiny_set, "cpu"), seed=0)
    rates = []
    loop.optimizer.register_step_pre_hook(
        lambda optimizer, *_: rates.append([group["lr"] for group in optimizer.param_groups])
    )
    for _ in loop.epochs(lambda *_: None):
        pass
    assert len(rates) == 2 * 16
    rising = [1e-3 * step / 8 for step in range(8)]
    falling = [1e-3 * (1 - step / 24) for step in range(24)]
    assert [first for first, _ in rates] == pytest.approx(rising + falling)
    assert all(first == second for first, second in rates)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_weights_decay_and_biases_do_not(kind: str):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = make_optimizer(module, Recipe(epochs=1, optimizer=kind, weight_decay=0.01))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    expected = {
        "0.weight": 0.01, "0.bias": 0, "1.weight": 0, "1.bias": 0, "3.weight": 0.01, "3.bias": 0,
    }  # fmt: skip
    assert {name: decay[id(parameter)] for name, parameter in module.named_parameters()} == expected


def test_the_average_follows_every_step(tiny_set: ImageSet, short_recipes: dict[str, Recipe]):
    recipe = replace(short_recipes["lenet"], epochs=1, averaging=0.75)
    loop = Loop(make_task("lenet", recipe, "cpu"), recipe, *to_tensors(tiny_set, "cpu"), seed=0)
    parameter = next(loop.task.module.parameters())
    expected = parameter.detach().clone()

    def follow(*_: object) -> None:
        nonlocal expected
        expected = 0.75 * expected + 0.25 * parameter.detach()

    loop.optimizer.register_step_post_hook(follow)
    list(loop.epochs(lambda *_: None))
    torch.testing.assert_close(next(loop.average.parameters()), expected)
    assert not torch.equal(parameter, expected)


class Brightness:
    """A task whose figures are known: an image's largest value, and its label."""

    module = nn.Identity()

    def draw(self, *_: object) -> tuple[Tensor, ...]:
        pytest.fail("an evaluation draws nothing")

    def loss(self, *drawn: Tensor) -> Tensor:
        pytest.fail("an evaluation asks for no loss")

    def score(self, module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"largest": images.amax((1, 2, 3)).float(), "label": labels.float()}


def test_figures_are_means_over_all_images():
    images = torch.randint(0, 256, (1203, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(1203)
    module = nn.Dropout().train()
    figures = evaluate(Brightness(), module, images, labels)
    assert figures == pytest.approx({"largest": images.flatten(1).max(1).values.double().mean().item(), "label": 601})
    assert not module.training


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

"""What networks learn: each kind's loss falls within a few steps, and its figures say what they are called."""

from pathlib import Path

import pytest
import torch

from pixelproof.models import build_classifier, build_purifier
from pixelproof.models.data import ImageSet, sample
from pixelproof.models.purifiers.gated import Gated
from pixelproof.models.training import Recipe, train
from pixelproof.models.training.tasks import BlindPrediction, Classification, Reconstruction, mixed_precision, whiten


@pytest.mark.parametrize(
    ("name", "factor", "figures"),
    [
        ("lenet", 0.97, {"accuracy"}),
        ("autoencoder", 0.5, {"mean_error", "mean_error_corrupted"}),
        ("gated", 0.9, {"mean_error", "replaced_clean", "replaced_corrupted"}),
    ],
)
def test_the_loss_falls(
    name: str, factor: float, figures: set[str], tiny_set: ImageSet, short_recipes: dict[str, Recipe], tmp_path: Path
):
    entries = []
    record = train(
        name,
        tiny_set,
        tiny_set.take(slice(50)),
        output=tmp_path / "weights.safetensors",
        run=tmp_path / "run",
        on_epoch=entries.append,
    )
    assert entries[-1]["loss"] < factor * entries[0]["loss"]
    assert record["figures"].keys() == figures


@pytest.mark.parametrize(
    ("told", "lowered"), [({}, False), ({"amx_bf16": True}, True), ({"amx_bf16": False, "avx512_bf16": True}, True)]
)
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_that(
    told: dict[str, bool], lowered: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told)
    with mixed_precision(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if lowered else torch.float32)


class Constant(torch.nn.Module):
    """Answers the same whatever it is shown."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`answer` for each image."""
        return self.answer.expand(len(images), *self.answer.shape[1:])


def images_of(level: int, count: int = 4) -> torch.Tensor:
    return torch.full((count, 3, 8, 8), level, dtype=torch.uint8)


def test_accuracy_counts_right_answers():
    task = Classification(Constant(torch.tensor([[0.0, 2.0, 1.0]])), Recipe(epochs=1))
    scores = task.score(task.module, images_of(5), torch.tensor([1, 1, 2, 0]))
    assert scores["accuracy"].tolist() == [1, 1, 0, 0]


def test_early_steps_see_smaller_images():
    sizes = []
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    module.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape)))
    task = Classification(module, Recipe(epochs=1, crop_margin=0, sides=((0.5, 6),)))
    labels = torch.zeros(4, dtype=torch.int64)
    for done in (0.0, 0.49, 0.5, 1.0):
        task.loss(*task.draw(images_of(200), labels, torch.Generator().manual_seed(0), done))
    assert sizes == [(4, 3, 6, 6)] * 2 + [(4, 3, 8, 8)] * 2


def test_a_corrupted_pixel_counts_as_often_as_asked():
    """Everything is off by 25.5 levels, a tenth: each of 64 pixels adds 0.01, the corrupted one 20 times that."""
    recipe = Recipe(epochs=1, corrupted_pixels=1, corrupted_weight=20)
    task = Reconstruction(Constant(torch.full((1, 3, 8, 8), 100 + 25.5)), recipe)
    loss = task.loss(*task.draw(images_of(100), torch.zeros(4), torch.Generator().manual_seed(0), 0.5))
    assert loss.item() == pytest.approx(0.01 * (63 + 20) / 64)
    scores = task.score(task.module, images_of(100), torch.zeros(4))
    assert scores["mean_error"].tolist() == [25.5] * 4
    assert scores["mean_error_corrupted"].tolist() == [25.5] * 4


def test_an_exact_prediction_costs_its_scale_alone():
    gated = build_purifier("gated", trained=False)
    assert isinstance(gated, Gated)
    gated.requires_grad_(False)
    gated.predictor.output.weight.zero_()
    gated.predictor.output.bias.copy_(torch.tensor([0.0, 0, 0, -1e4, -1e4, -1e4]))  # predicts 128, half a level
    task = BlindPrediction(gated, Recipe(epochs=1, corrupted_pixels=2))
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor(0.5)
    assert task.loss(*task.draw(images_of(128), torch.zeros(4), generator, 0.5)) == pytest.approx(scale.log())
    brighter = task.loss(*task.draw(images_of(138), torch.zeros(4), generator, 0.5))  # off by 10, on one of three axes
    assert brighter == pytest.approx(scale.log() + 10 / scale / 3)
    scores = task.score(gated, images_of(128), torch.zeros(4))
    assert scores["mean_error"].tolist() == [0] * 4
    assert scores["replaced_clean"].tolist() == [0] * 4
    assert scores["replaced_corrupted"].tolist() == [1] * 4


def test_a_whitened_start_is_the_recipes_choice():
    images = torch.from_numpy(sample().images).permute(0, 3, 1, 2)
    weights = []
    for whitened in (False, True):
        torch.manual_seed(0)
        module = build_classifier("pure_cnn", trained=False)
        Classification(module, Recipe(epochs=1, whitened=whitened)).prepare(images)
        weights.append([parameter.detach() for parameter in module.parameters()])
    same = [torch.equal(plain, whitened) for plain, whitened in zip(*weights, strict=True)]
    assert same == [False] + [True] * (len(same) - 1)


def responses(name: str) -> tuple[torch.Tensor, int]:
    """What the whitened first convolution gives at each position, `(filters, positions)`, and its input values."""
    images = torch.from_numpy(sample().images).permute(0, 3, 1, 2).float() / 255
    torch.manual_seed(0)
    module = build_classifier(name, trained=False)
    whiten(module, images)
    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    with torch.no_grad():
        seen = torch.nn.functional.conv2d(module.normalise(images), first.weight)
    return seen.transpose(0, 1).flatten(1), first.weight[0].numel()


def correlations(seen: torch.Tensor) -> torch.Tensor:
    return (seen @ seen.T / seen.shape[1]).abs()


def test_pairs_of_signs_where_there_are_filters_enough():
    seen, inputs = responses("nin")
    directions = seen[: 2 * inputs]
    assert torch.allclose(directions[::2], -directions[1::2], atol=1e-4)
    together = correlations(directions[::2])
    strong = together.diagonal() > 0.5  # of the faintest, the least variance leaves less than 1
    assert strong.sum() > inputs / 2
    assert together.diagonal().max() < 1.01
    assert (together - together.diagonal().diag()).max() < 0.01


def test_the_first_directions_where_there_are_fewer_filters():
    seen, inputs = responses("wide_resnet")
    assert len(seen) < inputs
    assert torch.allclose(correlations(seen), torch.eye(len(seen)), atol=0.05)

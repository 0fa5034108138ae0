"""Orders from a backward pass: exact where the network is linear, alive through a gate, and worth having."""

import subprocess
import sys

import numpy as np
import pytest

from pixelproof.attack import attack, gradient_ranking
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.models import build_purifier

torch = pytest.importorskip("torch", reason="gradients are PyTorch's")

BLACK_AND_WHITE = np.repeat(np.array([0, 255], np.uint8)[:, None], 3, axis=1)


class Layer(torch.nn.Module):
    """One function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, levels):
        return self.function(levels)


def linear_module(classifier):
    """The exact classifier's scores: whole numbers small enough to be exact in float32."""
    by_channel = classifier.weights.transpose(2, 0, 1, 3)
    weights = torch.from_numpy(by_channel.reshape(-1, by_channel.shape[3])).float()
    return Layer(lambda levels: levels.flatten(1) @ weights)


@pytest.mark.parametrize("targeted", [False, True])
def test_a_linear_network_is_ranked_exactly_by_how_the_margin_changes(
    make_classifier, make_crops, make_images, targeted
):
    images, classifier = make_crops(4, 8, 7), make_classifier(8, 7, seed=5)
    labels, colors = classifier.labels(images), make_images(4 * 8, 7, 5).reshape(4, 8, 7, 5, 3)
    targets = (labels + 1) % 4 if targeted else None
    ranking = gradient_ranking(linear_module(classifier))(images, labels, colors, targets)
    for index, image in enumerate(images):
        others = classifier.scores(image[None])[0]
        others[labels[index]] = others.min() - 1
        rival = targets[index] if targeted else others.argmax()
        margins = []
        for candidate in range(8 * 7 * 5):
            changed = image.copy()
            row, column = divmod(candidate // 5, 7)
            changed[row, column] = colors[index, row, column, candidate % 5]
            scores = classifier.scores(changed[None])[0]
            margins.append(scores[labels[index]] - scores[rival])
        assert np.array_equal(ranking[index], np.argsort(margins, kind="stable"))


def test_on_a_linear_network_the_first_candidate_decides(make_classifier, make_crops):
    images, classifier = make_crops(12, 8, 7), make_classifier(8, 7, classes=2, seed=5)
    labels = classifier.labels(images)
    blind = attack(classifier, images, labels)
    led = attack(classifier, images, labels, order=gradient_ranking(linear_module(classifier)))
    assert np.array_equal(led.success, blind.success)
    assert 0 < led.success.sum() < 12
    assert (led.queries[led.success] == 1).all()


def test_lenet_falls_in_far_fewer_queries(lenet, lenet_images, check_successes):
    images, labels = (each[:10] for each in lenet_images)
    colors = np.broadcast_to(BLACK_AND_WHITE, (10, 32, 32, 2, 3))
    led = attack(lenet, images, labels, order=gradient_ranking(lenet.module), colors=colors, batch_size=64)
    check_successes(led, images, labels, lenet, 64)
    fell = led.success
    assert fell.sum() >= 3
    blind = attack(lenet, images[fell], labels[fell], colors=colors[fell], batch_size=64)
    assert blind.success.all()
    assert 10 * np.median(led.queries[fell]) < np.median(blind.queries)


def attacked(lenet_images):
    """Real images with a white and a black pixel, which the gates are to replace; float32 on the 0..255 scale."""
    images = lenet_images[0][:4].copy()
    images[:, 10, 8], images[:, 20, 24] = 255, 0
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("name", ["median", "gated"])
def test_the_forward_pass_through_a_gate_is_the_same_with_and_without_gradients(lenet_images, name):
    purifier, levels = build_purifier(name), attacked(lenet_images)
    with torch.no_grad():
        exact = purifier(levels)
    assert not torch.equal(exact, levels)  # the gate replaced something
    assert torch.equal(purifier(levels.clone().requires_grad_()).detach(), exact)


@pytest.mark.parametrize("name", ["median", "gated"])
def test_a_gradient_comes_through_a_gate(make_network, lenet_images, name):
    network, levels = make_network(build_purifier(name)), attacked(lenet_images).requires_grad_()
    logits = network.module(levels)
    best, second = logits.topk(2, dim=1).values.T
    (gradient,) = torch.autograd.grad((best - second).sum(), levels)
    assert gradient.isfinite().all()
    assert (gradient != 0).any(dim=1).float().mean() > 0.5


@pytest.mark.parametrize("name", ["median", "gated"])
def test_images_behind_a_gate_are_ranked_each_in_its_own_way(make_network, lenet_images, name):
    images, labels = (each[:4] for each in lenet_images)
    colors = np.broadcast_to(BLACK_AND_WHITE, (4, 32, 32, 2, 3))
    ranking = gradient_ranking(make_network(build_purifier(name)).module)(images, labels, colors, None)
    assert np.array_equal(np.sort(ranking, axis=1), np.tile(np.arange(2048), (4, 1)))
    assert len({row.tobytes() for row in ranking} | {np.arange(2048, dtype=np.int32).tobytes()}) == 5


def test_the_order_leaves_the_networks_gradients_and_mode_alone(lenet, lenet_images):
    images, labels = (each[:2] for each in lenet_images)
    before = {name: value.clone() for name, value in lenet.module.state_dict().items()}
    gradient_ranking(lenet.module)(images, labels, np.broadcast_to(BLACK_AND_WHITE, (2, 32, 32, 2, 3)), None)
    assert not lenet.module.training
    assert all(parameter.grad is None for parameter in lenet.module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in lenet.module.state_dict().items())


def test_what_is_no_module_is_refused(never):
    with pytest.raises(UsageError, match=r"got function, expected a torch\.nn\.Module.*Next: .*sweep_ranking"):
        gradient_ranking(never)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda levels: levels, r"Tensor of shape \(2, 3, 4, 5\), expected a Tensor of shape \(2, classes >= 3\)"),
        (lambda levels: levels.flatten(1)[:, :2], r"shape \(2, 2\).*\(2, classes >= 3\)"),  # label 2 is beyond
        (lambda levels: levels.flatten(1)[:1, :3], r"shape \(1, 3\).*\(2, classes >= 3\)"),
        (lambda levels: (levels.flatten(1), 1), "gave tuple"),
        (lambda levels: levels.flatten(1).detach(), "no gradient.*sweep_ranking"),
        (lambda levels: levels.flatten(1) + torch.nan, "NaN.*weights"),
        (lambda levels: (levels.flatten(1) * 0).sqrt(), "gradient is not finite.*sweep_ranking"),
    ],
)
def test_a_module_that_gives_something_else_is_refused(make_crops, answer, words):
    colors = np.zeros((2, 4, 5, 1, 3), np.uint8)
    with pytest.raises(PixelproofError, match=f"^the module.*{words}") as refusal:
        gradient_ranking(Layer(answer))(make_crops(2, 4, 5), np.array([0, 2]), colors, None)
    assert "Next: " in str(refusal.value)


def test_without_pytorch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PixelproofError, match=r"needs PyTorch.*Next: pip install 'pixelproof\[export\]'"):
        gradient_ranking(None)


def test_the_attack_itself_does_not_import_pytorch():
    check = "import sys, pixelproof.attack; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

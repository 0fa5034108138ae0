"""The form in which a GPU searches says what the network says, but for some thousandths."""

import numpy as np
import pytest
import torch

from pixelproof.attack.evaluation.half_precision import _tuning, can_compile, half_precision
from pixelproof.models import build_classifier, build_purifier
from pixelproof.models.data import sample


@pytest.mark.parametrize("name", ["lenet", "resnet", "pure_cnn"])
@pytest.mark.parametrize("purified", [False, True])
def test_probabilities_are_nearly_those_of_float32(name: str, purified: bool):
    classifier, purifier = build_classifier(name), build_purifier("gated") if purified else None
    images = torch.from_numpy(sample().images[:24])
    with torch.inference_mode():
        found = half_precision(classifier, purifier, "cpu")(images)
        levels = images.permute(0, 3, 1, 2).float()
        before = levels if purifier is None else purifier(levels).clamp(0, 255)
        expected = classifier(before / 255).softmax(1)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < 0.02
    assert next(classifier.parameters()).dtype == torch.float32  # what the gradients are of stays as it was


def test_the_compiler_knows_what_it_is_asked_to_tune():
    torch.compile(torch.relu, options=_tuning())  # raises for an option that it does not know
    assert {"max_autotune", "max_autotune_conv_backends"} <= _tuning().keys()


@pytest.mark.gpu
@pytest.mark.parametrize("tuned", [False, True])
def test_a_search_in_half_precision_holds_in_float32(tuned: bool):
    """ResNet-32 on the GPU, compiled and recorded: what it finds deceives the same network on the CPU."""
    from pixelproof.attack.cuda import TorchNetwork, attack_on_device, open_device

    classifier = build_classifier("resnet").eval()

    def exact(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return classifier(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).softmax(1).numpy()

    images, labels = sample().images[:40], sample().labels[:40]
    settings = {"population": 100, "generations": 10}
    with open_device() as device:
        network = TorchNetwork(half_precision(classifier, None, "cuda", compiled=can_compile(), tuned=tuned), 10)
        found = attack_on_device(device, network, images, labels, exact=exact, rows=1000, **settings)
    right = exact(images).argmax(1) == labels
    assert found.attacked.tolist() == right.tolist()
    assert found.success.any()
    assert (exact(found.images)[found.success].argmax(1) != labels[found.success]).all()

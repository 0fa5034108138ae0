"""On a real GPU: the device gives what the CPU gives, beside PyTorch, in either order of import."""

import subprocess
import sys

import numpy as np
import pytest

from pixelproof.attack import attack
from pixelproof.attack.cuda import TorchNetwork, attack_on_device, open_device
from pixelproof.attack.cuda.device import Sizes, device_array

pytestmark = pytest.mark.gpu

FIELDS = ("attacked", "success", "pixels", "colors", "images", "queries")


@pytest.fixture(scope="module")
def gpu():
    with open_device() as device:
        yield device


def on_gpu(classifier, *, graphed):
    """The integer-exact classifier in PyTorch: float64 holds its sums exactly, in any order."""
    import torch

    weights = torch.from_numpy(classifier.weights.reshape(-1, classifier.weights.shape[-1])).double().cuda()

    def classify(images):
        scores = images.flatten(1).double() @ weights
        above = scores - scores.amin(1, keepdim=True) + 1
        return (above / above.sum(1, keepdim=True)).float()

    return TorchNetwork(classify, classifier.weights.shape[-1], graphed=graphed)


@pytest.mark.parametrize("graphed", [False, True])
@pytest.mark.parametrize(("pixels", "lanes", "rows"), [(1, 64, 3200), (3, 5, 48), (5, 7, 1000)])
def test_the_same_bits_as_the_cpu(gpu, make_classifier, make_crops, pixels, lanes, rows, graphed):
    images, classifier = make_crops(60, 12, 11), make_classifier(12, 11, seed=5)
    network, labels = on_gpu(classifier, graphed=graphed), classifier.labels(images)
    settings = {"pixels": pixels, "population": 40, "generations": 25, "seed": 3}
    expected = attack(classifier, images, labels, method="de", **settings)
    assert set(expected.success.tolist()) == {False, True}
    for _ in range(2):  # other images' state must not linger
        found = attack_on_device(gpu, network, images, labels, lanes=lanes, rows=rows, **settings)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_a_recorded_generation_gives_the_same_twice(gpu):
    """Two inputs in a row through one recording, of kernels alone."""
    generations, winners = (device_array(gpu, (4,), np.int32) for _ in range(2))
    arguments = (generations, winners, 9, Sizes(4, 10, 1, 8, 8))
    replay = gpu.record(lambda: gpu.launch("advance_lanes", 4, arguments))
    winners.write([10, 10, 3, 10])
    for before, after in (([0, 5, 5, 9], [1, 6, -6, -10]), ([1, 9, 0, -1], [2, -10, -1, -1])):
        generations.write(before)
        replay()
        assert generations.read().tolist() == after


@pytest.mark.parametrize("order", ["import torch; import pycuda.driver", "import pycuda.driver; import torch"])
def test_pytorch_and_pycuda_share_a_process_in_either_order(order):
    program = f"""
{order}
from pixelproof.attack.cuda import open_device
import torch
first = torch.ones(1000, device="cuda").sum().item()
with open_device() as device:
    pointer = device.allocate(1 << 20)
    between = (torch.arange(10, device="cuda") * 2).sum().item()
after = torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8, device="cuda"), torch.ones(2, 3, 3, 3, device="cuda"))
assert (first, between, after.sum().item()) == (1000, 90, 2 * 36 * 27), (first, between, after)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

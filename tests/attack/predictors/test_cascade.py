"""A cheaper network discards what it is sure of, and no success is lost where its errors are within the margin."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pixelproof.attack import Prefiltered, attack
from pixelproof.attack.predictors.cascade import margins
from pixelproof.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), np.uint8)


class Network:
    """Three classes by the largest of smoothed sums; `noise` moves each logit by less than that many nats."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise, self.rows = noise, 0

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.rows += len(images)
        levels = images.astype(np.float64)
        logits = (levels[:, :4] - levels[:, 4:]).reshape(len(images), -1, 3).mean(axis=1) / 2
        wobble = np.sin(levels.sum(axis=(1, 2))) * self.noise
        exponents = np.exp(logits + wobble - (logits + wobble).max(axis=1, keepdims=True))
        return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)


def test_successes_are_those_of_the_real_network():
    real, cheap = Network(), Network(noise=0.4)
    labels = real(IMAGES).argmax(1)
    expected = attack(real, IMAGES, labels, method="corners", batch_size=16)
    screened = Prefiltered(real, cheap, margin=0.8, batch_size=16, doubtful_size=2)
    real.rows = 0
    found = attack(screened, IMAGES, labels, method="corners", batch_size=16)
    for name in ("success", "pixels", "colors", "queries"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert 0 < expected.success.sum() < len(IMAGES)
    assert expected.exhausted[~expected.success].all()
    assert not found.exhausted.any()
    assert screened.asked >= found.evaluated.sum()
    assert screened.discarded > 0.5 * screened.asked
    assert real.rows < 0.6 * screened.asked


def test_a_wide_margin_asks_the_real_network_of_everything():
    real, lying = Network(), Network(noise=50)
    labels = real(IMAGES).argmax(1)
    expected = attack(real, IMAGES, labels, method="corners", batch_size=16)
    screened = Prefiltered(real, lying, margin=1000, batch_size=16)
    np.testing.assert_array_equal(
        attack(screened, IMAGES, labels, method="corners", batch_size=16).success, expected.success
    )
    assert screened.discarded == 0


def test_as_a_predict_it_is_the_real_network():
    real = Network()
    np.testing.assert_array_equal(Prefiltered(real, Network(noise=9), margin=1)(IMAGES), real(IMAGES))


def test_margins_are_leads_in_nats():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [1, 0, 0]], np.float32)
    lead = margins(probabilities, np.array([0, 0, 0]))
    np.testing.assert_allclose(lead, [np.log(2), -np.log(8), np.log(1e12)], rtol=1e-5)


@pytest.mark.parametrize("margin", [0, -1, np.inf, np.nan])
def test_a_margin_that_screens_nothing_or_everything_is_an_error(margin: float):
    with pytest.raises(UsageError, match="margin has to be above 0"):
        Prefiltered(Network(), Network(), margin=margin)

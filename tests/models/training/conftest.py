"""A training set of 256 small real images, and recipes that are over in a second."""

from dataclasses import replace

import numpy as np
import pytest

from pixelproof.models import NETWORKS
from pixelproof.models.data import ImageSet, sample
from pixelproof.models.training import Recipe


@pytest.fixture(scope="session")
def tiny_set() -> ImageSet:
    """256 of the sample's images and their mirror images."""
    shipped = sample()
    images = np.concatenate([shipped.images, shipped.images[:, :, ::-1]])
    return ImageSet(images[:256], np.tile(shipped.labels, 2)[:256], shipped.class_names)


@pytest.fixture
def short_recipes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    """Three epochs of 16 steps for each network, in place of the recipes."""
    short = {
        "lenet": Recipe(epochs=3, batch_size=16, optimizer="adamw", peak_rate=3e-3, averaging=0.9, sides=((0.5, 32),)),
        "autoencoder": Recipe(
            epochs=3, batch_size=16, optimizer="adamw", peak_rate=3e-3, averaging=0.9, corrupted_pixels=2
        ),
        "gated": Recipe(epochs=3, batch_size=16, optimizer="adamw", peak_rate=3e-3, averaging=0.9, corrupted_pixels=8),
    }
    for name, recipe in short.items():
        monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], recipe=recipe))
    return short

"""Which recipe is whose, and that the shipped weights are of today's."""

import pytest

from pixelproof.models import TRAINABLE, provenance
from pixelproof.models.training import recipe_for
from pixelproof.models.training.recipes import ON_GPU, RECIPES


def test_every_network_has_a_recipe_and_some_another_on_a_gpu():
    assert set(RECIPES) == set(TRAINABLE)
    for name in TRAINABLE:
        own, on_gpu = recipe_for(name), recipe_for(name, device="cuda")
        assert (own != on_gpu) == (name in ON_GPU)
        assert recipe_for(name, 3, "cuda").epochs == 3
    assert all(ON_GPU[name].epochs > RECIPES[name].epochs for name in ON_GPU)


@pytest.mark.parametrize("name", ON_GPU)
def test_weights_made_on_a_gpu_are_of_the_recipe_for_it(name: str):
    record = provenance(name)
    assert record["recipe"] == recipe_for(name, device="cuda").settings()
    assert record["command"] == f"pixelproof train {name} --seed 0 --device cuda"
    assert record["epochs"] == len(record["history"]) == ON_GPU[name].epochs


def test_images_grow_with_the_steps():
    recipe = recipe_for("wide_resnet", device="cuda")
    assert [recipe.side(done) for done in (0, 0.24, 0.25, 0.49, 0.5, 1)] == [16, 16, 24, 24, None, None]

"""Which recipe is whose, and that the shipped weights are of today's."""

import pytest

from pixelproof.models import NETWORKS, TRAINABLE, provenance
from pixelproof.models.training import recipe_for

ON_GPU = [name for name, network in NETWORKS.items() if network.on_gpu is not None]


def test_every_network_has_a_recipe_and_some_another_on_a_gpu():
    assert {name for name, network in NETWORKS.items() if network.recipe is not None} == set(TRAINABLE)
    for name in TRAINABLE:
        own, on_gpu = recipe_for(name), recipe_for(name, device="cuda")
        assert (own != on_gpu) == (name in ON_GPU)
        assert recipe_for(name, 3, "cuda").epochs == 3
    assert all(recipe_for(name, device="cuda").epochs > recipe_for(name).epochs for name in ON_GPU)


@pytest.mark.parametrize("name", ON_GPU)
def test_weights_made_on_a_gpu_are_of_the_recipe_for_it(name: str):
    record = provenance(name)
    assert record["recipe"] == recipe_for(name, device="cuda").settings()
    assert record["command"] == f"pixelproof train {name} --seed 0 --device cuda"
    assert record["epochs"] == len(record["history"]) == recipe_for(name, device="cuda").epochs


def test_images_grow_with_the_steps():
    recipe = recipe_for("wide_resnet", device="cuda")
    assert [recipe.side(done) for done in (0, 0.24, 0.25, 0.49, 0.5, 1)] == [16, 16, 24, 24, None, None]

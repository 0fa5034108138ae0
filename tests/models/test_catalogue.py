"""The networks by name: what is offered, what is refused, and that PyTorch is not needed to ask."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelproof.errors import UsageError, WeightsError
from pixelproof.files import sha256_file
from pixelproof.models import (
    CLASSIFIERS,
    NETWORKS,
    PURIFIERS,
    TRAINABLE,
    build_classifier,
    build_purifier,
    check_trainable,
    is_shipped,
    provenance,
    weights_path,
)
from pixelproof.models.data import sample
from pixelproof.models.training import recipe_for
from pixelproof.models.weights import save_weights


def test_names():
    assert CLASSIFIERS == ("lenet", "pure_cnn", "nin", "resnet", "densenet", "wide_resnet")
    assert PURIFIERS == ("median", "autoencoder", "gated")
    assert (*CLASSIFIERS, "autoencoder", "gated") == TRAINABLE
    assert weights_path("median") is None
    assert provenance("median") == {}


@pytest.mark.parametrize("name", [*CLASSIFIERS, *PURIFIERS])
def test_networks_come_ready_to_use(name: str):
    build, shape = (build_classifier, (2, 10)) if name in CLASSIFIERS else (build_purifier, (2, 3, 32, 32))
    network = build(name, trained=False)
    assert not network.training
    assert network(torch.rand(2, 3, 32, 32)).shape == shape


@pytest.mark.parametrize(
    ("build", "asked", "nearest"),
    [(build_classifier, "resnett", "resnet"), (build_purifier, "gate", "gated"), (check_trainable, "lnet", "lenet")],
)
def test_an_unknown_name_gets_the_nearest(build, asked: str, nearest: str):
    with pytest.raises(UsageError, match=f"'{asked}'; did you mean '{nearest}'"):
        build(asked)


def test_what_has_nothing_to_learn_is_not_trainable():
    with pytest.raises(
        UsageError, match="'median'; there are: autoencoder, densenet, gated, lenet, nin, pure_cnn, resnet, wide_resnet"
    ):
        check_trainable("median")


def test_weights_of_ones_own_are_loaded(tmp_path: Path):
    torch.manual_seed(1)
    network = build_classifier("lenet", trained=False)
    save_weights(network, tmp_path / "own.safetensors", {})
    torch.manual_seed(2)
    loaded = build_classifier("lenet", weights=tmp_path / "own.safetensors")
    images = torch.rand(3, 3, 32, 32)
    assert torch.equal(loaded(images), network(images))


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(
        WeightsError, match=r"no weights file '.*none\.safetensors'\. Next: --weights FILE, or, of a shipped"
    ):
        build_purifier("gated", weights=tmp_path / "none.safetensors")


def test_names_and_data_need_no_pytorch():
    program = (
        "import sys; from pixelproof.models import *; from pixelproof.models.data import sample; sample();"
        "weights_path('lenet'); check_trainable('gated'); print(*sorted({'torch', 'onnx', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == []


@pytest.mark.parametrize("name", TRAINABLE)
def test_shipped_weights_are_those_of_their_provenance(name: str):
    record = provenance(name)
    assert record["weights_sha256"] == sha256_file(weights_path(name))
    assert record["command"].startswith(f"pixelproof train {name} ")
    assert {"seed", "epochs", "figures", "versions", "wall_time_s", "data_sha256"} <= record.keys()


@torch.no_grad()
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shipped_classifiers_recognize_the_sample(name: str):
    images, labels = sample().images, sample().labels
    logits = build_classifier(name)(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    accuracy = float(np.mean(logits.argmax(1).numpy() == labels))
    assert abs(accuracy - provenance(name)["figures"]["accuracy"]) < 0.1  # 200 of the 10,000 test images


def test_what_a_manifest_describes_is_shipped_with_its_source_its_name_and_its_weights_alone():
    path = weights_path("lenet")
    assert path is not None
    lenet = {"name": "lenet", "source": "shipped", "weights_sha256": sha256_file(path)}
    assert is_shipped(lenet)
    assert is_shipped({"name": "median", "weights_sha256": None})
    assert not is_shipped(lenet | {"source": "module"})
    assert not is_shipped(lenet | {"name": "means"})
    assert not is_shipped(lenet | {"weights_sha256": "0" * 64})
    assert not is_shipped({"name": "gated", "weights_sha256": lenet["weights_sha256"]})


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

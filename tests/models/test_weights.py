"""Weights files: what is written comes back, and what cannot be used is named."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pixelproof.errors import UsageError, WeightsError
from pixelproof.files import sha256_file
from pixelproof.models.lenet import LeNet
from pixelproof.models.resnet import ResNet
from pixelproof.models.weights import halve, load_weights, save_weights


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def seeded(build, seed: int):
    torch.manual_seed(seed)
    return build()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_weights(seeded(LeNet, 0), tmp_path / "lenet.safetensors", {"seed": 0})
    return tmp_path / "lenet.safetensors"


def test_parameters_and_buffers_come_back_bit_for_bit(tmp_path: Path):
    network = seeded(lambda: ResNet(blocks=1), 0).to(memory_format=torch.channels_last)
    network.train()(torch.rand(4, 3, 32, 32))  # moves the running statistics and their count
    save_weights(network, tmp_path / "deep" / "resnet.safetensors", {})
    other = seeded(lambda: ResNet(blocks=1), 1)
    assert not same(state(other), state(network))
    load_weights(other, tmp_path / "deep" / "resnet.safetensors")
    assert same(state(other), state(network))


@torch.no_grad()
def test_half_precision_is_what_was_measured_and_half_the_size(tmp_path: Path):
    network = seeded(lambda: ResNet(blocks=1), 0).eval()
    save_weights(network, tmp_path / "full.safetensors", {})
    before = state(network)
    halve(network)
    changed = [name for name, tensor in state(network).items() if not torch.equal(tensor, before[name])]
    assert changed
    assert all(before[name].ndim > 1 for name in changed)  # biases and normalization are few, and stay exact
    save_weights(network, tmp_path / "half.safetensors", {}, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "full.safetensors").stat().st_size
    other = seeded(lambda: ResNet(blocks=1), 1).eval()
    load_weights(other, tmp_path / "half.safetensors")
    assert same(state(other), state(network))
    assert all(tensor.dtype != torch.float16 for tensor in state(other).values())


def test_provenance_lies_beside_with_the_hash(saved: Path):
    record = json.loads(saved.with_suffix(".json").read_text())
    assert record == {"seed": 0, "weights_sha256": sha256_file(saved)}
    assert sorted(path.name for path in saved.parent.iterdir()) == ["lenet.json", "lenet.safetensors"]


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, 0.999])
def test_a_truncated_file_is_named_and_changes_nothing(saved: Path, kept: float):
    content = saved.read_bytes()
    saved.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    network = seeded(LeNet, 1)
    before = state(network)
    with pytest.raises(WeightsError, match=r"lenet\.safetensors' is damaged .* Next: "):
        load_weights(network, saved)
    assert same(state(network), before)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match=f"no weights file '{re.escape(str(path))}'"):
            load_weights(LeNet(), path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt", ".bin"])
def test_a_pickle_is_refused_unread(tmp_path: Path, suffix: str):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"none that could be read")
    with pytest.raises(UsageError, match="is a pickle"):
        load_weights(LeNet(), path)


def test_a_pickle_that_is_missing_is_told_as_missing(tmp_path: Path):
    with pytest.raises(WeightsError, match="there is no weights file"):
        load_weights(LeNet(), tmp_path / "weights.pth")


@pytest.mark.parametrize("wrapped", [False, True], ids=["weights alone", "checkpoint of a wrapped network"])
def test_the_command_in_the_refusal_converts_a_pickle(tmp_path: Path, wrapped: bool):
    network = seeded(LeNet, 0)
    kept = network.state_dict()
    if wrapped:
        kept = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in kept.items()}}
    torch.save(kept, tmp_path / "weights.pt")
    with pytest.raises(UsageError) as refused:
        load_weights(LeNet(), tmp_path / "weights.pt")
    command = shlex.split(str(refused.value).split("if you trust it: ")[1])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True)
    other = seeded(LeNet, 1)
    load_weights(other, tmp_path / "weights.safetensors")
    assert same(state(other), state(network))


def test_weights_of_another_network_are_named_with_what_differs(saved: Path):
    network = seeded(lambda: LeNet(classes=3), 1)
    before = state(network)
    expected = (
        r"lenet\.safetensors' do not fit LeNet: 2 tensors differ, the first is 'classifier\.5\.bias': "
        r"expected \(3,\), got \(10,\)\. Next: "
    )
    with pytest.raises(WeightsError, match=expected):
        load_weights(network, saved)
    assert same(state(network), before)
    with pytest.raises(WeightsError, match=r"do not fit ResNet: .* expected no such tensor, got "):
        load_weights(ResNet(), saved)


def test_a_full_disk_leaves_the_old_weights(saved: Path, full_disk):
    before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}
    with full_disk(100_000), pytest.raises(OSError, match="File too large"):
        save_weights(seeded(LeNet, 1), saved, {"seed": 1})
    assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before

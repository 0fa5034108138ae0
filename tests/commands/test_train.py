"""`pixelproof train` on a tiny data set, and what it answers to bad requests."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pixelproof import models
from pixelproof.models import NETWORKS, data
from pixelproof.models.data import sample
from pixelproof.models.training import Recipe


@pytest.fixture
def tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample as the whole data set, and three epochs of 12 steps for LeNet."""
    splits = {"train": sample(), "test": sample().take(slice(40))}
    monkeypatch.setattr(data, "load_cifar10", lambda split, root: splits[split])
    monkeypatch.setattr(data, "data_sha256", lambda root: {"test_batch.bin": "0" * 64})
    recipe = Recipe(epochs=3, batch_size=16, optimizer="adamw", peak_rate=3e-3, averaging=0.9)
    monkeypatch.setitem(NETWORKS, "lenet", replace(NETWORKS["lenet"], recipe=recipe))


def last_line(err: str) -> str:
    return err.splitlines()[-1]


def test_it_writes_weights_with_their_provenance(tiny_data: None, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli("train", "lenet", "--seed", "4", "--epochs", "2", "--device", "cpu")
    assert code == 0
    record = json.loads(Path("runs/lenet/lenet.json").read_text())
    accuracy = record["figures"]["accuracy"]
    assert out == f"runs/lenet/lenet.safetensors: accuracy {accuracy:.4f} on 40 test images\n"
    assert "lenet epoch 2: loss " in err
    assert record["command"] == "pixelproof train lenet --seed 4 --epochs 2"
    assert record["data_sha256"] == {"test_batch.bin": "0" * 64}
    names = ["checkpoint.safetensors", "lenet.json", "lenet.safetensors", "log.jsonl"]
    assert sorted(path.name for path in Path("runs/lenet").iterdir()) == names


def test_run_and_output_go_where_they_are_told(tiny_data: None, run_cli, tmp_path: Path):
    run, output = tmp_path / "run", tmp_path / "new" / "own.safetensors"
    assert run_cli("train", "lenet", "--run", run, "-o", output, "--epochs", "1").code == 0
    assert sorted(path.name for path in run.iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    assert sorted(path.name for path in output.parent.iterdir()) == ["own.json", "own.safetensors"]


def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(tiny_data: None, run_cli, ctrl_c_when, tmp_path: Path):
    log = tmp_path / "run" / "log.jsonl"
    ctrl_c_when(lambda: log.is_file() and log.read_text() != "")
    code, out, err = run_cli("train", "lenet", "--run", tmp_path / "run", "--epochs", "500")
    assert (code, out) == (130, "")
    kept = len(log.read_text().splitlines())
    assert last_line(err) == (
        f"error: stopped training lenet; {kept} of 500 epochs are done and kept in '{tmp_path / 'run'}'. "
        "Next: the same command goes on from there"
    )
    assert not list((tmp_path / "run").glob("lenet*"))


def test_all_trains_each_in_its_own_folder_and_goes_on(tiny_data: None, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "TRAINABLE", ("lenet", "gated"))
    monkeypatch.setitem(
        NETWORKS,
        "gated",
        replace(NETWORKS["gated"], recipe=Recipe(epochs=1, batch_size=16, peak_rate=1e-3, optimizer="adamw")),
    )
    run_cli("train", "lenet")
    code, out, err = run_cli("train", "--all")
    assert code == 0
    assert "lenet epoch" not in err  # all of it was done
    assert "gated epoch 1:" in err
    written = [line.partition(":")[0] for line in out.splitlines()]
    assert written == ["runs/lenet/lenet.safetensors", "runs/gated/gated.safetensors"]
    assert all(Path(path).with_suffix(".json").is_file() for path in written)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "got neither a name nor --all; there are: lenet, "),
        (["lenet", "--all"], 2, "got 'lenet' and --all; there are: lenet, "),
        (["--all", "-o", "own.safetensors"], 2, "--output and --run are one network's"),
        (["median"], 2, "'median'; there are: autoencoder, densenet, gated, lenet, nin, pure_cnn, resnet"),
        (["lenet", "--device", "gpu"], 2, "unknown device 'gpu'"),
        (["lenet", "--output", "lenet.json"], 2, "weights are written as .safetensors, and 'lenet.json' is none"),
        (["lenet", "--epochs", "0"], 2, "--epochs"),
        (["lenet", "--seed", "-1"], 2, "--seed"),
    ],
)
def test_bad_requests_are_refused(arguments, code: int, message: str, tiny_data: None, run_cli, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outcome = run_cli("train", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_missing_and_truncated_data_are_one_line(refused, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    line = refused(1, "train", "lenet", "--data", tmp_path)
    assert "--data" in line
    assert "Next: pixelproof data fetch" in line
    names = [f"data_batch_{number}.bin" for number in range(1, 6)]
    for name in names:
        (tmp_path / name).write_bytes(bytes(1000))
    assert "data_batch_1.bin' is truncated" in refused(1, "train", "lenet", "--data", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_gpu_that_is_not_there_is_named(tiny_data: None, refused, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = refused(1, "train", "lenet", "--device", "cuda")
    assert "PyTorch finds no GPU here. Next: pixelproof doctor" in line


def test_weights_that_find_no_room_are_written_by_the_same_command_later(
    tiny_data: None, run_cli, full_disk, tmp_path: Path
):
    arguments = ["train", "lenet", "--run", tmp_path / "run", "-o", tmp_path / "own" / "lenet.safetensors"]
    run_cli("train", "lenet", "--run", tmp_path / "run")
    for weights in (tmp_path / "run").glob("lenet.*"):
        weights.unlink()
    with full_disk(100_000):
        code, _, err = run_cli(*arguments)
    assert code == 1
    assert f"error: File too large '{tmp_path / 'own' / 'lenet.safetensors'}'. Next: " in last_line(err)
    assert not (tmp_path / "own").exists()
    code, _, err = run_cli(*arguments)
    assert code == 0
    assert "epoch 1:" not in err  # nothing was trained again
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["lenet.json", "lenet.safetensors"]


def test_a_run_folder_that_cannot_be_made_is_named_before_training(tiny_data: None, run_cli, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    code, out, err = run_cli("train", "lenet", "--run", tmp_path / "file" / "run")
    assert (code, out) == (1, "")
    assert "'" + str(tmp_path / "file") in last_line(err)
    assert "epoch" not in err

"""Whole runs: seeded, logged, and after a kill at any moment as if it had never come."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pixelproof.errors import DataError, Interrupted, UsageError, WeightsError
from pixelproof.files import sha256_file
from pixelproof.models import NETWORKS, build_classifier
from pixelproof.models.data import ImageSet
from pixelproof.models.training import Recipe, train

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def train_lenet(tiny_set: ImageSet, short_recipes: dict[str, Recipe], tmp_path: Path) -> Train:
    """`train_lenet(folder)`: a run in `tmp_path / folder`, its weights in `lenet.safetensors` there."""

    def run(folder: str, **options: Any) -> dict[str, Any]:
        output = tmp_path / folder / "lenet.safetensors"
        test = tiny_set.take(slice(40))
        return train("lenet", tiny_set, test, **{"output": output, "run": tmp_path / folder, **options})

    return run


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same_run(first: Path, second: Path) -> None:
    """The same weights, and the same log but for the times in it."""
    assert (first / "lenet.safetensors").read_bytes() == (second / "lenet.safetensors").read_bytes()
    timeless = [[{**entry, "seconds": 0, "images_per_s": 0} for entry in log(folder)] for folder in (first, second)]
    assert timeless[0] == timeless[1]


class StopInEpoch:
    """A progress callback that presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __call__(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """After step 10 of 16."""
        if epoch == self.epoch:
            assert 0 < step < steps
            raise KeyboardInterrupt


def test_every_epoch_is_logged(train_lenet: Train, tmp_path: Path):
    entries: list[dict[str, Any]] = []
    steps: list[tuple[int, int, int]] = []
    train_lenet("run", on_epoch=entries.append, progress=lambda *progress: steps.append(progress[:3]))
    assert log(tmp_path / "run") == entries
    assert [entry["epoch"] for entry in entries] == [1, 2, 3]
    assert {"loss", "seconds", "images_per_s", "accuracy"} <= entries[0].keys()
    assert steps == [(epoch, step, 16) for epoch in (1, 2, 3) for step in (10, 16)]


def test_the_record_says_what_was_made_and_how(train_lenet: Train, tmp_path: Path, tiny_set: ImageSet):
    record = train_lenet("run", seed=3, data_hashes={"test_batch.bin": "0" * 64})
    path = tmp_path / "run" / "lenet.safetensors"
    assert json.loads(path.with_suffix(".json").read_text()) == record | {"weights_sha256": sha256_file(path)}
    expected = {
        "name": "lenet", "command": "pixelproof train lenet --seed 3", "seed": 3, "epochs": 3,
        "recipe": NETWORKS["lenet"].recipe.settings(), "training_images": 256, "test_images": 40, "parameters": 62_006,
        "data_sha256": {"test_batch.bin": "0" * 64},
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert record["versions"]["torch"] == torch.__version__
    assert record["wall_time_s"] > 0
    images = torch.from_numpy(tiny_set.images[:40]).permute(0, 3, 1, 2) / 255
    labels = build_classifier("lenet", weights=path)(images).argmax(1).numpy()
    assert record["figures"]["accuracy"] == pytest.approx(np.mean(labels == tiny_set.labels[:40]))


def test_the_seed_decides(train_lenet: Train, tmp_path: Path):
    for folder, seed in (("first", 0), ("again", 0), ("other", 1)):
        torch.manual_seed(len(folder))  # what was drawn before has no say
        train_lenet(folder, seed=seed, epochs=1)
    assert_same_run(tmp_path / "first", tmp_path / "again")
    first, other = (load_file(tmp_path / folder / "lenet.safetensors") for folder in ("first", "other"))
    assert not any(torch.equal(first[name], other[name]) for name in first if "normalise" not in name)


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_ctrl_c_keeps_full_epochs(
    optimizer: str, epoch: int, train_lenet: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = replace(NETWORKS["lenet"].recipe, optimizer=optimizer, peak_rate=0.02 if optimizer == "sgd" else 3e-3)
    monkeypatch.setitem(NETWORKS, "lenet", replace(NETWORKS["lenet"], recipe=recipe))
    train_lenet("unbroken")
    with pytest.raises(Interrupted) as stopped:
        train_lenet("stopped", progress=StopInEpoch(epoch))
    assert str(stopped.value) == (
        f"stopped training lenet; {epoch - 1} of 3 epochs are done and kept in '{tmp_path / 'stopped'}'. "
        "Next: the same command goes on from there"
    )
    assert not (tmp_path / "stopped" / "lenet.safetensors").exists()
    done: list[int] = []
    train_lenet("stopped", on_epoch=lambda entry: done.append(entry["epoch"]))
    assert done == list(range(epoch, 4))
    assert_same_run(tmp_path / "unbroken", tmp_path / "stopped")


@pytest.mark.parametrize("name", ["autoencoder", "gated"])
def test_purifiers_go_on_as_if_unbroken_too(name: str, train_lenet: Train, tiny_set: ImageSet, tmp_path: Path):
    def run(folder: str, **options: Any) -> bytes:
        output = tmp_path / folder / "weights.safetensors"
        small = tiny_set.take(slice(176))
        train(name, small, small.take(slice(8)), output=output, run=tmp_path / folder, epochs=2, **options)
        return output.read_bytes()

    with pytest.raises(Interrupted, match="1 of 2 epochs"):
        run("stopped", progress=StopInEpoch(2))
    assert run("stopped") == run("unbroken")


KILLED = textwrap.dedent("""
    import dataclasses, os, signal, sys
    from pathlib import Path
    import numpy as np
    from pixelproof.models.data import ImageSet
    from pixelproof.models import NETWORKS
    from pixelproof.models.training import Recipe, train
    from pixelproof import files

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def in_epoch_2(epoch, step, *_):
        if epoch == 2:
            die()

    def writing_checkpoint_2(original=files.os.fsync):
        counts = iter(range(10))
        def fsync(descriptor):  # the new file is written, and not yet renamed
            original(descriptor)
            if next(counts) == 3:  # log, then checkpoint and log of epoch 1, then checkpoint
                die()
        files.os.fsync = fsync

    folder, moment, recipe = sys.argv[1:]
    NETWORKS["lenet"] = dataclasses.replace(NETWORKS["lenet"], recipe=Recipe(**eval(recipe)))
    data = np.load(Path(folder) / "tiny.npz")
    tiny = ImageSet(data["images"], data["labels"], ())
    if moment == "writing_checkpoint_2":
        writing_checkpoint_2()
    train("lenet", tiny, tiny.take(slice(40)), output=Path(folder) / "lenet.safetensors", run=Path(folder),
          progress=in_epoch_2 if moment == "in_epoch_2" else lambda *_: None)
""")


@pytest.mark.parametrize("moment", ["in_epoch_2", "writing_checkpoint_2"])
def test_a_kill_costs_the_epoch_alone(moment: str, train_lenet: Train, tiny_set: ImageSet, tmp_path: Path):
    train_lenet("unbroken")
    killed = tmp_path / "killed"
    killed.mkdir()
    np.savez(killed / "tiny.npz", images=tiny_set.images, labels=tiny_set.labels)
    arguments = [sys.executable, "-c", KILLED, str(killed), moment, repr(asdict(NETWORKS["lenet"].recipe))]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert [entry["epoch"] for entry in log(killed)] == [1]
    assert not (killed / "lenet.safetensors").exists()
    done: list[int] = []
    train_lenet("killed", on_epoch=lambda entry: done.append(entry["epoch"]))
    assert done == [2, 3]
    assert_same_run(tmp_path / "unbroken", killed)


def test_a_finished_run_is_not_trained_again(train_lenet: Train, tmp_path: Path):
    train_lenet("run")
    before = (tmp_path / "run" / "lenet.safetensors").read_bytes()
    lines = (tmp_path / "run" / "log.jsonl").read_text()
    (tmp_path / "run" / "log.jsonl").write_text("".join(lines.splitlines(keepends=True)[:2]))  # a kill before the log
    done: list[dict[str, Any]] = []
    train_lenet("run", on_epoch=done.append)
    assert done == []
    assert (tmp_path / "run" / "lenet.safetensors").read_bytes() == before
    assert (tmp_path / "run" / "log.jsonl").read_text() == lines


@pytest.mark.parametrize(("options", "differs"), [({"seed": 1}, "seed"), ({"epochs": 4}, "recipe")])
def test_a_run_with_other_settings_is_refused(options: dict[str, int], differs: str, train_lenet: Train, tmp_path):
    train_lenet("run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(WeightsError, match=rf"checkpoint\.safetensors' belongs to a run with another {differs}\. Next"):
        train_lenet("run", **options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "of another program":
        save_file({"weight": torch.zeros(3)}, path)
    elif how == "with another header":
        save_file({"weight": torch.zeros(3)}, path, metadata={"checkpoint": "[]"})
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"no checkpoint at all"}[how])


@pytest.mark.parametrize("how", ["empty", "cut", "text", "of another program", "with another header"])
def test_a_damaged_checkpoint_is_named(how: str, train_lenet: Train, tmp_path: Path):
    train_lenet("run", epochs=1)
    damage(tmp_path / "run" / "checkpoint.safetensors", how)
    with pytest.raises(WeightsError, match=r"checkpoint '.*checkpoint\.safetensors' is damaged .*Next: delete it"):
        train_lenet("run", epochs=1)


def test_bad_requests_are_refused_before_anything_is_written(train_lenet: Train, tiny_set: ImageSet, tmp_path: Path):
    with pytest.raises(UsageError, match=r"\.safetensors, .*--output .*lenet\.safetensors"):
        train_lenet("run", output=tmp_path / "lenet.json")
    with pytest.raises(OSError, match=r"'/proc/new/lenet\.safetensors'"):  # nobody may make files there, root neither
        train_lenet("run", output=Path("/proc/new/lenet.safetensors"))
    with pytest.raises(DataError, match="16 images a step, and the training set has 15"):
        train("lenet", tiny_set.take(slice(15)), tiny_set, output=tmp_path / "a.safetensors", run=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_last_epoch(train_lenet: Train, tmp_path: Path, full_disk):
    with ExitStack() as disk, pytest.raises(OSError, match="File too large"):
        train_lenet("full", on_epoch=lambda _: disk.enter_context(full_disk(100_000)))
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    train_lenet("full")
    train_lenet("unbroken")
    assert_same_run(tmp_path / "unbroken", tmp_path / "full")


def test_purifiers_are_trained_on_images_of_any_size(short_recipes: dict[str, Recipe], tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (32, 12, 20, 3), dtype=np.uint8)
    small = ImageSet(images, np.zeros(32, np.int64), ("one",))
    for name in ("autoencoder", "gated"):
        record = train(name, small, small, output=tmp_path / f"{name}.safetensors", run=tmp_path / name, epochs=1)
        assert all(np.isfinite(figure) for figure in record["figures"].values())


def test_half_precision_weights_have_the_figures_that_were_measured(
    tiny_set: ImageSet, short_recipes: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    half = replace(short_recipes["lenet"], half_precision=True)
    monkeypatch.setitem(NETWORKS, "lenet", replace(NETWORKS["lenet"], recipe=half))
    path = tmp_path / "lenet.safetensors"
    record = train("lenet", tiny_set, tiny_set, output=path, run=tmp_path / "run")
    assert load_file(path)["features.0.weight"].dtype == torch.float16
    with torch.no_grad():
        logits = build_classifier("lenet", weights=path)(torch.from_numpy(tiny_set.images).permute(0, 3, 1, 2) / 255)
    accuracy = float(np.mean(logits.argmax(1).numpy() == tiny_set.labels))
    assert record["figures"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)

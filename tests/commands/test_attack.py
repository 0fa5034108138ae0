"""`pixelproof attack` as it is typed, interrupted and killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.attack import attack as search
from pixelproof.export.own_images import labeled_images
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256


@pytest.fixture(autouse=True)
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, where records go unasked."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def records(folder: str = "runs/records") -> list[dict]:
    """What is kept by now, in the order in which it came; another process may be writing."""
    lines = [line for path in sorted(Path(folder).glob("*.jsonl")) for line in path.read_text().splitlines(True)[1:]]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_it_prints_figures_and_writes_results_and_images(lenet_median_bundle: Path, run_cli):
    code, out, err = run_cli("attack", lenet_median_bundle, "--sample", "--images", "3", "-o", "found")
    assert code == 0
    shown = dict(line.split("  ", 1) for line in out.splitlines())
    assert shown["protocol"].strip() == "transfer"
    assert shown["provider"].strip() == "CPUExecutionProvider"
    assert shown["data"].strip() == "CIFAR-10, 200 test images (the shipped sample, 20 a class)"
    assert shown["attack success"].strip() == "2 of 3 (66.7%, 20.8% to 93.9%)"
    assert "wrote found: results.json, .jsonl and .csv, 2 adversarial images" in err
    results = json.loads(Path("found/results.json").read_text())
    assert results["attack_success"]["count"] == 2
    assert (results["kind"], results["classifier"], results["purifier"]) == ("attack", "lenet", "median")
    assert results["conditions"]["command"].startswith("pixelproof attack ")
    assert {"torch", "onnxruntime"} & set(results["conditions"]["versions"])
    assert results["graph_sha256"] == graph_sha256((lenet_median_bundle / "classifier.onnx").read_bytes())
    assert "sha256" not in out
    assert [image["image"] for image in results["images"]] == [0, 1, 2]
    tables = ["results.csv", "results.json", "results.jsonl"]
    pictures = ["00001-ship.png", "00002-ship.png"]
    assert sorted(path.name for path in Path("found").iterdir()) == [*pictures, "adversarial.npy", *tables]
    assert [json.loads(line) for line in Path("found/results.jsonl").read_text().splitlines()] == results["images"]
    with Path("found/results.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    parts = [f"{part}_1" for part in ("row", "column", "red", "green", "blue")]
    for row, image in zip(rows, results["images"], strict=True):
        plain = ("image", "label", "success", "label_after", "queries", "exhausted")
        assert [row[name] for name in plain] == [str(image[name]) for name in plain]
        for when in ("before", "after"):
            assert float(row[f"confidence_{when}"]) == max(image[f"probabilities_{when}"])
        changed = [*image["pixels"][0], *image["colours"][0]] if image["success"] else [""] * 5
        assert [row[part] for part in parts] == [str(value) for value in changed]
    pictures = np.stack([np.asarray(Image.open(f"found/{name}")) for name in pictures])
    np.testing.assert_array_equal(np.load("found/adversarial.npy", allow_pickle=False), pictures)
    assert (pictures != sample().images[1:3]).any(-1).sum(axis=(1, 2)).tolist() == [1, 1]
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        assert (bare.predict(pictures).argmax(1) != sample().labels[1:3]).all()


def test_json_is_all_that_stdout_gets_and_a_second_run_says_the_same(lenet_median_bundle: Path, run_cli):
    arguments = ["attack", lenet_median_bundle, "--sample", "--images", "2", "--seed", "7", "--json"]
    first = run_cli(*arguments)
    summary = json.loads(first.out)
    assert (summary["protocol"], summary["seed"], summary["target"]) == ("transfer", 7, None)
    kept = records()
    assert run_cli(*arguments).out == first.out
    assert records() == kept


def test_a_target_is_a_class_by_name(lenet_median_bundle: Path, run_cli):
    arguments = ["--sample", "--images", "1", "--target", "automobile", "--method", "levels", "--json"]
    summary = json.loads(run_cli("attack", lenet_median_bundle, *arguments).out)
    assert (summary["target"], summary["method"], summary["attack_success"]["n"]) == ("automobile", "levels", 1)


def test_an_evolution_of_ones_own(lenet_median_bundle: Path, run_cli):
    """As small as asked, and as published where it is not asked."""
    arguments = [
        "attack",
        lenet_median_bundle,
        "--sample",
        "--images",
        "1",
        "--method",
        "de",
        "--json",
    ]  # it withstands
    small = json.loads(run_cli(*arguments, "--population", "10", "--generations", "4").out)
    assert (small["population"], small["generations"], small["queries_median"]) == (10, 4, 50)
    whole = json.loads(run_cli(*arguments).out)
    assert whole["queries_median"] == 400 * 101
    assert (whole["population"], whole["generations"]) == (400, 100)


@pytest.mark.parametrize("protocol", ["transfer", "adaptive"])
def test_a_screened_attack_finds_the_same_and_exhausts_nothing(protocol: str, lenet_median_bundle: Path, run_cli):
    arguments = ["attack", lenet_median_bundle, "--sample", "--images", "3", "--protocol", protocol]
    assert run_cli(*arguments, "-o", "full").code == 0
    assert run_cli(*arguments, "--cascade", "int8", "-o", "screened").code == 0
    full, screened = (json.loads(Path(folder, "results.json").read_text()) for folder in ("full", "screened"))
    for name in ("image", "success", "pixels"):
        assert [image[name] for image in screened["images"]] == [image[name] for image in full["images"]]
    assert any(image["exhausted"] for image in full["images"])
    assert not any(image["exhausted"] for image in screened["images"])
    assert (full["screen"], screened["screen"]) == (None, "int8")


def test_ones_own_images_of_ones_own_classifier(make_bundle: Callable[..., Path], run_cli, tmp_path: Path):
    bundle = make_bundle(size=(2, 3), purifier="cap")
    for channel, name in enumerate(("red", "green", "blue")):
        Path("mine", name).mkdir(parents=True)
        for number in range(2):
            picture = np.full((2, 3, 3), 20, np.uint8)
            picture[..., channel] += 80 if number else 200
            Image.fromarray(picture).save(Path("mine", name, f"{number}.png"))
    code, _, err = run_cli("attack", bundle, "--data", "mine", "--protocol", "adaptive", "-o", "found")
    assert code == 0, err
    results = json.loads(Path("found/results.json").read_text())
    assert "6 images of folder 'mine' (SHA-256 " in results["data"]
    fell = [image["file"] for image in results["images"] if image["success"]]
    mine = labeled_images(Path("mine"), ("red", "green", "blue"), (2, 3))
    with Pipeline(bundle) as pipeline:
        expected = search(pipeline.predict, mine.images.images, mine.images.labels)
    assert fell == [name for name, success in zip(mine.files, expected.success, strict=True) if success]
    assert 0 < len(fell) < expected.attacked.sum() == results["attack_success"]["n"]
    assert results["exhausted"] == expected.exhausted.sum() > 0
    with Path("found/results.csv").open() as lines:
        assert [row["file"] for row in csv.DictReader(lines) if row["success"] == "True"] == fell
    assert run_cli("bench", "defense", bundle, "--data", "mine", "-o", "defense.json").code == 0
    (row,) = json.loads(Path("defense.json").read_text())["rows"]
    assert row["adaptive_success"] == results["attack_success"]


REFUSED = {
    "method": (["--method", "cornerz"], 2, "unknown method 'cornerz'; did you mean 'corners'? there are: corners, de"),
    "protocol": (["--protocol", "adaptiv"], 2, "unknown protocol 'adaptiv'; did you mean 'adaptive'?"),
    "class": (["--target", "shipp"], 2, "unknown class 'shipp'; did you mean 'ship'? there are: airplane, automobile"),
    "existing output": (["-o", "mine"], 2, "'mine' exists already. Next: choose another --output"),
    "output below a file": (["-o", "mine/found"], 1, "/mine'. Next: check the disk and the folder's permissions"),
    "cascade": (["--cascade", "fp8"], 2, "unknown cascade 'fp8'; there are: bf16, int8. Next: "),
    "pixels": (["--pixels", "1025"], 2, "pixels is 1025, expected 1 to 1024"),
    "seed": (["--seed", "-1"], 2, "seed is -1, expected 0 to"),
    "data beside the sample": (["--data", "x"], 2, "--sample and --data x are both given. Next: leave out one of them"),
    "population": (["--population", "50"], 2, "corners evolves nothing, so it has no population. Next: leave out"),
    "records in a file": (["--records", "mine"], 1, "'mine' is a file, and records are kept in a folder"),
}


@pytest.mark.parametrize(("options", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_unfit_option_is_one_line_and_leaves_no_record(
    options, code: int, message: str, lenet_median_bundle, refused
):
    Path("mine").write_text("kept")
    assert message in refused(code, "attack", lenet_median_bundle, "--sample", *options)
    assert records() == []
    assert Path("mine").read_text() == "kept"


def test_missing_and_truncated_data_are_one_line(lenet_median_bundle: Path, refused, current: Path):
    line = refused(1, "attack", lenet_median_bundle, "--data", current)
    assert f"'{current}' holds neither CIFAR-10 nor a subfolder for each class. Next: put your own images into" in line
    assert "no CIFAR-10 in 'none'" in refused(1, "attack", lenet_median_bundle, "--data", "none")
    Path("test_batch.bin").write_bytes(bytes(1000))
    line = refused(1, "attack", lenet_median_bundle, "--data", current)
    assert "'test_batch.bin' is truncated or damaged: expected 30,730,000 bytes, got 1,000" in line
    assert not Path("runs").exists()


def test_a_bundle_that_is_missing_damaged_or_of_other_images_is_one_line(make_bundle, refused, current: Path):
    assert "there is no bundle 'none'" in refused(1, "attack", "none", "--sample")
    assert "takes 4x6 images of 3 classes; the data are 32x32 of 10" in refused(2, "attack", make_bundle(), "--sample")
    os.truncate("bundle/pipeline.onnx", 100)
    assert "'pipeline.onnx' should have" in refused(1, "attack", "bundle", "--sample")
    assert not Path("runs").exists()


def test_damaged_records_are_one_line(lenet_median_bundle: Path, run_cli, refused):
    arguments = ["attack", lenet_median_bundle, "--sample", "--images", "1"]
    run_cli(*arguments)
    (path,) = Path("runs/records").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"image"', b'"picture"'))
    assert f"the records in '{path}' are damaged in line 2" in refused(1, *arguments)


def test_ctrl_c_keeps_finished_images_and_the_same_command_goes_on(lenet_median_bundle: Path, run_cli, ctrl_c_when):
    """Images 1 and 2 fall to the first batch; image 0 takes 8,192 queries."""
    arguments = ["attack", lenet_median_bundle, "--sample", "--images", "3", "--json"]
    ctrl_c_when(lambda: len(records()) == 2)
    code, out, err = run_cli(*arguments, "-o", "found")
    assert (code, out) == (130, "")
    message = "error: stopped; finished images are kept in 'runs/records'. Next: the same command goes on"
    assert err.splitlines()[-1] == message
    kept = records()
    assert [record["image"] for record in kept] == [1, 2]
    assert not Path("found").exists()
    resumed = run_cli(*arguments)
    assert records()[:2] == kept
    at_once = run_cli(*arguments, "--records", "others")
    same = [{**json.loads(each.out), "seconds_per_image": 0} for each in (resumed, at_once)]
    assert same[0] == same[1]


# a background job, as tests may be, hands down that SIGINT is ignored
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
MAIN = [sys.executable, "-c", LISTEN + "from pixelproof.cli import main; main()"]


def stopped_by(number: signal.Signals, arguments: list, happened: Callable[[], bool]) -> tuple[int, str]:
    """Run the command in a process of its own until `happened()`, and send it the signal."""
    with subprocess.Popen([*MAIN, *map(str, arguments)], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not happened():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_on_a_real_process_ends_it_in_one_line(lenet_median_bundle: Path):
    arguments = ["attack", lenet_median_bundle, "--sample", "--method", "levels"]
    code, err = stopped_by(signal.SIGINT, arguments, lambda: len(records()) >= 1)
    assert code == 130
    assert err.splitlines()[-1].startswith("error: stopped; finished images are kept in 'runs/records'.")
    assert "Traceback" not in err
    assert len(records()) >= 1


def test_a_killed_attack_goes_on_from_what_it_kept(lenet_median_bundle: Path, run_cli):
    arguments = ["attack", lenet_median_bundle, "--sample"]
    code, _ = stopped_by(signal.SIGKILL, arguments, lambda: len(records()) >= 3)
    assert code == -signal.SIGKILL
    kept = {record["image"]: record for record in records()}
    result = json.loads(run_cli(*arguments, "--images", "6", "--json").out)
    after = {record["image"]: record for record in records()}
    assert {image: after[image] for image in kept} == kept
    assert {0, 1, 2, 3, 4, 5} <= after.keys()
    assert result["attack_success"]["n"] == 6

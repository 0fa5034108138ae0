"""What a GPU run consists of."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pixelproof.benchmarks.gpu.environment import code_sha256
from pixelproof.benchmarks.gpu.parts import all_parts
from pixelproof.benchmarks.gpu.slices import with_needs

REPOSITORY = Path(__file__).parents[3]


def test_the_adversarial_images_are_left_among_the_results(tmp_path: Path):
    (part,) = (part for part in all_parts(tmp_path, None, None) if part.name == "adversarial")
    subprocess.run([sys.executable, *part.commands[-1][1:]], check=True)
    assert json.loads((tmp_path / "adversarial.json").read_text()).keys() >= {"lenet", "resnet"}


def test_a_run_has_every_part_that_a_gpu_is_needed_for(tmp_path: Path):
    names = [part.name for part in all_parts(tmp_path, tmp_path / "wheels", tmp_path / "data")]
    assert names[:4] == ["environment", "tests", "sanitizer", "bundle-lenet"]
    assert {"kernels-resnet", "latency-resnet", "train", "adversarial", "de-lenet", "strongest-resnet"} <= set(names)
    assert len(names) == len(set(names))
    without = {part.name: part.without for part in all_parts(tmp_path, None, None)}
    assert "needs the data set" in without["train"]
    assert without["kernels-resnet"] == without["latency-resnet"] == without["de-resnet-sample"] == ""


def test_defenses_are_measured_on_the_data_set_or_else_on_the_sample(tmp_path: Path):
    parts = {part.name: part for data in (None, tmp_path) for part in all_parts(tmp_path, None, data)}
    for of, asked in (("-sample", "--sample"), ("", f"--data {tmp_path}")):
        (command,) = parts[f"de-lenet{of}"].commands
        assert asked in " ".join(command)
        assert command[-1] == str(tmp_path / f"lenet-de{of}.json")


def test_the_cpu_alone_is_not_timed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: iter(()))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    without = {part.name: part.without for part in all_parts(tmp_path, tmp_path, None)}
    assert "only the CPU would be timed" in without["latency-resnet"]
    assert without["kernels-resnet"] == ""


def test_a_part_alone_brings_the_environment_and_its_own_bundle(tmp_path: Path):
    chosen = with_needs(all_parts(tmp_path, None, None), ["kernels-resnet"])
    assert [part.name for part in chosen] == ["environment", "bundle-resnet", "kernels-resnet"]


def test_tests_that_find_no_gpu_have_failed(tmp_path: Path):
    (part,) = (part for part in all_parts(tmp_path, None, None) if part.name == "tests")
    command = [sys.executable if "venv" in each else each for each in part.commands[0]]
    ran = subprocess.run(
        [*command, "tests/attack/cuda/test_gpu.py"],
        cwd=REPOSITORY,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode not in (0, 5), ran.stdout
    assert "PIXELPROOF_GPU is set, and there is no GPU to test on" in ran.stdout + ran.stderr


def test_code_has_one_hash(monkeypatch, tmp_path: Path):
    assert code_sha256() == code_sha256()
    package, tests = tmp_path / "src" / "pixelproof", tmp_path / "tests"
    for folder in (package, tests):
        folder.mkdir(parents=True)
    monkeypatch.setattr("pixelproof.__file__", str(package / "__init__.py"))
    seen = []
    for path in (package / "__init__.py", tests / "test_a.py", package / "results.json"):
        path.write_text("a = 1")
        seen.append(code_sha256())
    assert len(set(seen)) == 2
    assert seen[1] == seen[2]  # results are no code

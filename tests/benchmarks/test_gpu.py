"""A GPU run in slices: what is done stays done, what is stopped goes on, and every part says what came of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pixelproof
from pixelproof.attack import attack
from pixelproof.benchmarks import gpu
from pixelproof.benchmarks.gpu import Part, all_parts, environment, run_slice, toolkit, with_needs
from pixelproof.benchmarks.gpu_sanitized import HostNetwork

REPOSITORY = Path(__file__).parents[2]


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def count(path: Path) -> str:
    return f"with open({str(path)!r}, 'a') as file: file.write('x')"


def states(outcomes) -> list[str]:
    return [outcome["state"] for outcome in outcomes.values()]


def test_it_starts_with_the_standard_library_alone():
    """What it installs cannot be imported before."""
    source = Path(pixelproof.__file__).parent.parent
    program = "import sys; sys.path.insert(0, sys.argv[1]); from pixelproof.benchmarks import gpu"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(source)], check=True)


def test_the_environment_sees_the_packages_of_the_one_that_it_starts_in(tmp_path: Path):
    for command in environment(tmp_path, tmp_path / "wheels").commands[:2]:  # what is missing comes after
        subprocess.run(command, check=True)
    program = [str(tmp_path / "venv/bin/python"), "-c", "import numpy, sys; print(numpy.__file__, sys.prefix)"]
    found, prefix = subprocess.check_output(program, text=True).split()
    assert found == np.__file__
    assert Path(prefix) == tmp_path / "venv"


def test_without_a_network_packages_come_from_the_folder_alone(tmp_path: Path):
    commands = environment(tmp_path, tmp_path / "wheels").commands
    installing = [command for command in commands if {"install", "wheel"} & set(command[:6])]
    assert installing
    assert all({"--no-index", str(tmp_path / "wheels")} <= set(command) for command in installing)


def test_onnx_runtime_for_a_gpu_comes_where_it_can_be_had(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: iter(()))  # it is not there

    def asked(wheels: Path | None) -> set[str]:
        return {package for command in environment(tmp_path, wheels).commands for package in command}

    assert "onnxruntime-gpu" in asked(None)
    assert "onnxruntime-gpu" not in asked(tmp_path)  # a folder of wheels without it: the run goes on without
    (tmp_path / "onnxruntime_gpu-1.31.1-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    assert "onnxruntime-gpu" in asked(tmp_path)


def test_libraries_that_came_by_pip_are_found(tmp_path: Path, monkeypatch):
    (tmp_path / "site" / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/before")
    folders = gpu.build_variables(tmp_path)["LD_LIBRARY_PATH"].split(":")
    assert str(tmp_path / "site" / "nvidia" / "cudnn" / "lib") in folders
    assert folders[-1] == "/before"


def test_a_compiler_outside_its_toolkit_is_no_toolkit(tmp_path: Path, monkeypatch):
    for folder in ("usr/bin", "usr/include", "cuda/bin", "cuda/include"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "nvcc").touch(0o755)
    (tmp_path / "cuda" / "include" / "cuda.h").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "usr" / "bin"))
    monkeypatch.delenv("CUDA_ROOT", raising=False)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    assert toolkit() == tmp_path / "cuda"
    (tmp_path / "usr" / "include" / "cuda.h").touch()
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "gone"))
    assert toolkit() == tmp_path / "usr"


def test_a_run_has_every_part_that_a_gpu_is_needed_for(tmp_path: Path):
    names = [part.name for part in all_parts(tmp_path, tmp_path / "wheels", tmp_path / "data")]
    assert names[:4] == ["environment", "tests", "sanitizer", "bundle-lenet"]
    assert {"kernels-resnet", "latency-resnet", "train", "adversarial", "de-lenet", "strongest-resnet"} <= set(names)
    assert len(names) == len(set(names))
    without = {part.name: part.without for part in all_parts(tmp_path, None, None)}
    assert "needs the data set" in without["train"]
    assert without["kernels-resnet"] == without["latency-resnet"] == without["de-resnet"] == ""


def test_defenses_are_measured_on_the_data_set_or_else_on_the_sample(tmp_path: Path):
    for data, asked, of in ((None, "--sample", "-sample"), (tmp_path, f"--data {tmp_path}", "")):
        parts = {part.name: part for part in all_parts(tmp_path, None, data)}
        (command,) = parts["de-lenet"].commands
        assert asked in " ".join(command)
        assert command[-1] == str(tmp_path / f"lenet-de{of}.json")


def test_the_cpu_alone_is_not_timed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: iter(()))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    without = {part.name: part.without for part in all_parts(tmp_path, tmp_path, None)}
    assert "only the CPU would be timed" in without["latency-resnet"]
    assert without["kernels-resnet"] == ""


def test_the_adversarial_images_are_left_among_the_results(tmp_path: Path):
    (part,) = (part for part in all_parts(tmp_path, None, None) if part.name == "adversarial")
    subprocess.run([sys.executable, *part.commands[-1][1:]], check=True)
    assert json.loads((tmp_path / "adversarial.json").read_text()).keys() >= {"lenet", "resnet"}


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


def test_what_is_done_is_done_again_with_other_code_or_without_what_it_left(tmp_path: Path, monkeypatch):
    part = Part("made", [python(count(tmp_path / "made"))], leaves=tmp_path / "made")
    for code, runs in (("a", "x"), ("a", "x"), ("b", "xx")):
        monkeypatch.setattr(gpu, "code_sha256", lambda code=code: code)
        assert states(run_slice([part], tmp_path, 1)) == ["done"]
        assert (tmp_path / "made").read_text() == runs
    (tmp_path / "made").unlink()
    run_slice([part], tmp_path, 1)
    assert (tmp_path / "made").read_text() == "x"
    assert json.loads((tmp_path / "state.json").read_text())["made"]["state"] == "done"


def test_what_runs_out_of_time_is_stopped_with_its_children_and_begun_again(tmp_path: Path):
    endless = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    begun = count(tmp_path / "begun")
    parts = [Part("long", [python(f"{begun}\n{endless}")]), Part("later", [python("print(1)")])]
    assert states(run_slice(parts, tmp_path, 1.5 / 60)) == ["unfinished", "unfinished"]
    parts[0] = Part("long", [python(begun)])
    assert states(run_slice(parts, tmp_path, 1)) == ["done", "done"]
    assert (tmp_path / "begun").read_text() == "xx"


def test_what_takes_too_long_leaves_time_to_others_and_comes_last_the_next_time(tmp_path: Path, monkeypatch):
    order = tmp_path / "order"
    hangs = Part("hangs", [python(f"{count(order)}\nimport time; time.sleep(60)")], limit_s=1)
    others = Part("others", [python(f"with open({str(order)!r}, 'a') as file: file.write('o')")])
    assert states(run_slice([hangs, others], tmp_path, 1)) == ["failed", "done"]
    monkeypatch.setattr(gpu, "code_sha256", lambda: "another")
    run_slice([hangs, others], tmp_path, 1)
    assert order.read_text() == "xoox"


def test_a_failure_is_reported_and_the_others_go_on(tmp_path: Path):
    parts = [
        Part("wrong", [python("print('why'); exit(7)")]),
        Part("missing", [["no-such-program"]]),
        Part("skipped", [python("exit(1)")], without="no such thing here"),
        Part("right", [python("")]),
        Part("behind", [python(count(tmp_path / "ran"))], needs=["wrong"]),
    ]
    outcomes = run_slice(parts, tmp_path, 1)
    assert states(outcomes) == ["failed", "failed", "skipped", "done", "unfinished"]
    assert outcomes["wrong"]["note"].startswith("code 7 from: ")
    assert (tmp_path / "wrong.log").read_text() == "why\n"
    assert "no-such-program" in outcomes["missing"]["note"]
    assert outcomes["behind"]["note"] == "needs wrong"
    assert not (tmp_path / "ran").exists()


def test_what_failed_is_mended_before_what_needs_it(tmp_path: Path):
    second = Part("second", [python(count(tmp_path / "ran"))], needs=["first"])
    assert states(run_slice([Part("first", [python("exit(1)")]), second], tmp_path, 1)) == ["failed", "unfinished"]
    mended = Part("first", [python(count(tmp_path / "first"))])
    assert states(run_slice([mended, second], tmp_path, 1)) == ["done", "done"]


@pytest.mark.parametrize(("spent", "state"), [(0.0, "unfinished"), (100.0, "failed")])
def test_what_is_stopped_at_the_end_of_each_slice_has_failed_by_its_limit(tmp_path: Path, spent: float, state: str):
    """`spent` in slices before, so that a loaded machine decides nothing."""
    hangs = Part("hangs", [python("import time; time.sleep(60)")], limit_s=100)
    before = {"hangs": {"state": "unfinished", "seconds": spent, "note": "stopped", "code": ""}}
    (tmp_path / "state.json").write_text(json.dumps(before))
    assert states(run_slice([hangs], tmp_path, 1 / 60)) == [state]


@pytest.mark.parametrize(("option", "code"), [(["--only", "nonsense"], 2), (["--wheels", "nowhere"], 2)])
def test_what_cannot_be_run_is_refused(option: list[str], code: int, tmp_path: Path):
    command = [sys.executable, "-m", "pixelproof.benchmarks.gpu", "--out", str(tmp_path), *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == code
    assert option[1] in done.stderr


def test_some_images_of_the_network_on_the_host_fall():
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), np.uint8)
    network = HostNetwork((9, 7))
    labels = network(images).argmax(1)
    np.testing.assert_allclose(network(images).sum(1), 1, atol=1e-6)
    found = attack(network, images, labels, method="de", population=40, generations=10, seed=3)
    assert 0 < found.success.sum() <= 12

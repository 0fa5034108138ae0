"""The environment of a GPU run stands on the one that it was started in."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import pixelproof
from pixelproof.benchmarks.gpu.environment import build_variables, environment_part, toolkit, venv_python


def test_it_sees_the_packages_of_the_environment_it_starts_in(tmp_path: Path):
    for command in environment_part(tmp_path, tmp_path / "wheels").commands[:2]:  # what is missing comes after
        subprocess.run(command, check=True)
    program = [str(venv_python(tmp_path)), "-c", "import numpy, sys; print(numpy.__file__, sys.prefix)"]
    found, prefix = subprocess.check_output(program, text=True).split()
    assert found == np.__file__
    assert Path(prefix) == tmp_path / "venv"


def test_it_starts_with_the_standard_library_alone():
    """What it installs cannot be asked for before."""
    source = Path(pixelproof.__file__).parent.parent
    program = "import sys; sys.path.insert(0, sys.argv[1]); from pixelproof.benchmarks.gpu import __main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(source)], check=True)


def test_without_a_network_packages_come_from_the_folder_alone(tmp_path: Path):
    commands = environment_part(tmp_path, tmp_path / "wheels").commands
    installing = [command for command in commands if {"install", "wheel"} & set(command[:6])]
    assert installing
    assert all({"--no-index", str(tmp_path / "wheels")} <= set(command) for command in installing)


def test_onnx_runtime_for_a_gpu_comes_where_it_can_be_had(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda **_: iter(()))  # it is not there

    def asked(wheels: Path | None) -> set[str]:
        return {package for command in environment_part(tmp_path, wheels).commands for package in command}

    assert "onnxruntime-gpu" in asked(None)
    assert "onnxruntime-gpu" not in asked(tmp_path)  # a folder of wheels without it: the run goes on without
    (tmp_path / "onnxruntime_gpu-1.31.1-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    assert "onnxruntime-gpu" in asked(tmp_path)


def test_libraries_that_came_by_pip_are_found(tmp_path: Path, monkeypatch):
    (tmp_path / "site" / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/before")
    folders = build_variables(tmp_path)["LD_LIBRARY_PATH"].split(":")
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

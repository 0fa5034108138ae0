"""The environment of a GPU run stands on the one that it was started in."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import pixelproof
from pixelproof.benchmarks.gpu.environment import environment_part, venv_python


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
    installing = [command for command in commands if "install" in command]
    assert installing
    assert all({"--no-index", str(tmp_path / "wheels")} <= set(command) for command in installing)

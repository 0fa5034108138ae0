"""No two threads of a launch race: ThreadSanitizer watches whole generations, the kernels compiled as C++."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pixelproof.attack.kernels import sources

HARNESS = Path(__file__).parent / "races.cpp"


def watched(folder: Path, kernels: Path) -> subprocess.CompletedProcess[str]:
    program = folder / "races"
    flags = ["-std=c++20", "-O1", "-g", "-fsanitize=thread", "-ffp-contract=off", "-Wall", "-Wextra", "-pthread"]
    command = ["g++", *flags, f"-I{kernels}", "-x", "c++", str(HARNESS), "-o", str(program)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if "tsan" in made.stderr:
        pytest.skip("g++ has no ThreadSanitizer here")
    assert made.returncode == 0, made.stderr
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in done.stderr:  # a kernel that scatters addresses further than it knows
        pytest.skip("ThreadSanitizer does not start here")
    return done


@pytest.fixture(autouse=True)
def compiler() -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed: it compiles the kernels for the CPU")


def test_none_is_found(tmp_path: Path):
    done = watched(tmp_path, sources.FOLDER)
    assert (done.returncode, done.stderr) == (0, "")
    new, proposed = map(int, done.stdout.split(" of "))
    assert 0 < new < proposed  # candidates came again


def test_one_that_is_put_in_is_found(tmp_path: Path):
    for path in sources.FOLDER.glob("*.cu*"):
        shutil.copy(path, tmp_path)
    source = (tmp_path / "remember.cu").read_text()
    raced = source.replace("atomicAdd(new_of + lane, 1);", "new_of[lane] += 1;")
    assert raced != source
    (tmp_path / "remember.cu").write_text(raced)
    done = watched(tmp_path, tmp_path)
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
    assert "mark_new" in done.stderr

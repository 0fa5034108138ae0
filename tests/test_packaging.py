"""What the wheel carries and asks for, built from a copy of the working tree by the declared build backend."""

import email
import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from pixelproof.models import CLASSIFIERS, PURIFIERS, weights_path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pixelproof"
LINKED = ("models", "export", "runtime", "attack", "benchmarks")
STRAY = (
    "attack/__pycache__/canvas.pyc",
    "models/weights/lenet.pt",
    "benchmarks/results/tables.json",
    "runtime/.cache/a",
)
MEBIBYTE = 2**20


def shipped_files() -> dict[str, bytes]:
    """Every file of the package by its name in the wheel; what was measured stays in the repository."""
    files: dict[str, bytes] = {}
    for folder in (PACKAGE, *(PACKAGE / name for name in LINKED)):
        for path in folder.rglob("*"):
            inside = path.relative_to(PACKAGE)
            hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
            if path.is_file() and not hidden and inside.parts[:2] != ("benchmarks", "results"):
                files[f"pixelproof/{inside.as_posix()}"] = path.read_bytes()
    return files


def plant(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"not to be shipped")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, with stray files lying in it."""
    tree, output = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("src", *LINKED):
        ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in STRAY:
        plant(tree / name)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(output)], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = output.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(contents: dict[str, bytes]) -> Message:
    (name,) = (name for name in contents if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(contents[name])


def required(metadata: Message, extra: str | None) -> set[str]:
    """The distributions that the extra (None: every installation) asks for."""
    marker = f'extra == "{extra}"'
    return {
        re.split(r"[^\w.-]", line)[0]
        for line in metadata.get_all("Requires-Dist", [])
        if (line.endswith(marker) if extra else ";" not in line)
    }


def test_the_links_are_those_to_the_folders():
    assert {path.name for path in PACKAGE.iterdir() if path.is_symlink()} == set(LINKED)


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else(contents: dict[str, bytes]):
    packed = {name: data for name, data in contents.items() if ".dist-info/" not in name}
    expected = shipped_files()
    assert sorted(packed) == sorted(expected)
    assert [name for name in packed if packed[name] != expected[name]] == []


def test_the_files_that_the_package_reads_are_among_them(contents: dict[str, bytes]):
    weights = [path for name in (*CLASSIFIERS, *PURIFIERS) if (path := weights_path(name))]
    wanted = {
        f"pixelproof/models/weights/{path.with_suffix(end).name}" for path in weights for end in (path.suffix, ".json")
    }
    wanted |= {f"pixelproof/models/sample/sample.{end}" for end in ("bin", "json")}
    wanted |= {f"pixelproof/benchmarks/templates/report.{end}" for end in ("html", "css")}
    wanted |= {"pixelproof/attack/search/normal_colors.npy", "pixelproof/py.typed"}
    wanted |= {f"pixelproof/attack/kernels/{name}" for name in ("propose.cu", "philox.cuh", "host.h")}
    assert weights
    assert wanted <= set(contents)


def test_beside_the_package_lie_its_metadata_and_license(contents: dict[str, bytes]):
    beside = {name.partition(".dist-info/")[2]: data for name, data in contents.items() if ".dist-info/" in name}
    described = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"}
    assert set(beside) == {"licenses/LICENSE", *described}
    assert beside["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert beside["top_level.txt"].split() == [b"pixelproof"]
    assert b"pixelproof = pixelproof.cli:main" in beside["entry_points.txt"]


def test_it_is_for_every_platform_and_under_40_mib(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 40 * MEBIBYTE


def test_the_base_installation_asks_for_nothing_heavy(metadata: Message):
    assert required(metadata, None) == {"numpy", "typer", "rich", "pillow"}


@pytest.mark.parametrize(
    ("extra", "packages"),
    [
        ("cpu", {"onnxruntime"}),
        ("export", {"torch", "onnx", "onnxscript", "safetensors"}),
        ("report", {"jinja2"}),
    ],
)
def test_the_extras_that_errors_name_bring_what_was_missing(metadata: Message, extra: str, packages: set[str]):
    assert required(metadata, extra) == packages

"""Every command that needs an optional package, where the package is missing or installed twice."""

import sys
from pathlib import Path

import pytest

from pixelproof.commands import demo

RUNNING = {
    "export": ["export", "lenet", "--purifier", "median", "-o", "new"],
    "classify": ["classify", "bundle", "image.png"],
    "attack": ["attack", "bundle", "--sample"],
    "bench defense": ["bench", "defense", "bundle", "--sample"],
    "bench latency": ["bench", "latency", "bundle"],
}


@pytest.fixture(autouse=True)
def bundle(make_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle in the current folder."""
    monkeypatch.chdir(tmp_path)
    make_bundle("bundle", size=(32, 32))


@pytest.mark.parametrize("command", RUNNING.values(), ids=RUNNING.keys())
def test_without_onnx_runtime_the_pip_command_is_told(command, refused, monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = refused(1, *command)
    assert line == (
        "error: running a bundle needs onnxruntime, which is not installed. Next: pip install 'pixelproof[cpu]'\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("command", RUNNING.values(), ids=RUNNING.keys())
def test_both_wheels_of_onnx_runtime_are_told_with_the_command_that_mends_it(
    command, refused, installed, tmp_path: Path
):
    installed("1.31.0", "onnxruntime", "onnxruntime-gpu")
    line = refused(1, *command)
    assert "onnxruntime and onnxruntime-gpu are both installed" in line
    assert "Next: pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'pixelproof[cpu]'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("package", ["torch", "onnx", "onnxscript", "safetensors"])
def test_an_export_without_its_packages_is_told_with_the_pip_command(package, refused, monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, package, None)
    line = refused(1, *RUNNING["export"])
    assert f"needs {package}, which is not installed. Next: pip install 'pixelproof[export]'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_demo_without_onnx_runtime_ends_at_its_first_export(run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, err = run_cli("demo", "--folder", "work")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 3
    assert err.splitlines()[1] == f"  {demo.STAGES[0][0]}-{demo.STAGES[0][1][0]}"
    assert "Next: pip install 'pixelproof[cpu]'" in err.splitlines()[2]
    assert not (tmp_path / "work").exists()

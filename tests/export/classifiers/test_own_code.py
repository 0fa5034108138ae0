"""The network that a user's own `module:function` builds."""

import inspect
import sys
from pathlib import Path

import pytest

from pixelproof.errors import ExportError, UsageError
from pixelproof.export.others_code import build_own


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


@pytest.mark.parametrize("own", ["inspect.py", "inspect/__init__.py"])
def test_a_module_that_python_has_under_the_same_name_is_told(here: Path, own: str):
    (here / own).parent.mkdir(exist_ok=True)
    (here / own).write_text("def build(): ...")
    with pytest.raises(UsageError) as raised:
        build_own("inspect:build")
    assert str(raised.value) == (
        f"'inspect' in 'inspect:build' was taken to be {inspect.__file__}, which has no function 'build', "
        f"and not '{own}' here. Next: rename that one, then pixelproof export NEW_NAME:build"
    )


def test_the_file_that_lacks_the_function_is_told(here: Path):
    (here / "own_network.py").write_text("def build(): ...")
    with pytest.raises(UsageError, match=r"unknown function in own_network .* did you mean 'build'") as raised:
        build_own("own_network:biuld")
    assert f"({here / 'own_network.py'})" in str(raised.value)
    with pytest.raises(UsageError, match="Next: pixelproof export CLASSIFIER --purifier own_network:FUNCTION"):
        build_own("own_network:biuld", "pixelproof export CLASSIFIER --purifier")
    with pytest.raises(UsageError, match=r"unknown function in sys \(a part of Python itself\) 'build'"):
        build_own("sys:build")


def test_code_that_leaves_has_failed_but_sigterm_is_obeyed(here: Path):
    (here / "leaving_network.py").write_text("import sys\ndef own(): sys.exit(3)\ndef told(): sys.exit(143)\n")
    with pytest.raises(ExportError, match=r"leaving_network:own\(\) failed: SystemExit: 3"):
        build_own("leaving_network:own")
    with pytest.raises(SystemExit, match="143"):
        build_own("leaving_network:told")

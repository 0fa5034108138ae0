"""Other people's code: the network that a `module:function` builds, and interrupts that come through it."""

import inspect
import sys
from pathlib import Path

import pytest

from pixelproof.errors import ExportError, UsageError
from pixelproof.export.others_code import build_own, interrupts_kept


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


def renamed(first: BaseException, then: BaseException, *, chained: bool):
    """What `first` became in code that answered it by `then`."""
    try:
        raise first
    except BaseException as error:
        raise then from (error if chained else None)


@pytest.mark.parametrize("then", [AttributeError("half imported"), SystemExit("training stopped")], ids=repr)
@pytest.mark.parametrize("first", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
@pytest.mark.parametrize("chained", [True, False])
def test_an_interrupt_stays_one(first: BaseException, then: BaseException, chained: bool):
    with pytest.raises(type(first)) as caught, interrupts_kept():
        renamed(first, then, chained=chained)
    assert caught.value is first


@pytest.mark.parametrize("fault", [ValueError("x"), SystemExit(1), SystemExit("no")], ids=repr)
def test_a_fault_stays_one(fault: BaseException):
    with pytest.raises(type(fault)) as caught, interrupts_kept():
        renamed(TypeError("first"), fault, chained=True)
    assert caught.value is fault


def test_an_interrupt_that_was_answered_before_is_none():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert isinstance(sys.exception(), KeyboardInterrupt)
        with pytest.raises(ValueError, match="invalid literal"), interrupts_kept(), interrupts_kept():
            int("no number")

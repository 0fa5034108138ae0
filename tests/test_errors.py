"""What the errors advise: names that exist, and commands that work here."""

import pytest

from pixelproof.errors import (
    Interrupted,
    PixelproofError,
    Terminated,
    in_clone,
    install_command,
    missing_extra,
    quote,
    resumable,
    unknown_name,
)

GPU = "pip install 'pixelproof[gpu]'"
CPU = "pip install 'pixelproof[cpu]'"
BOTH = ["onnxruntime", "onnxruntime-gpu"]


@pytest.mark.parametrize(
    ("extra", "wheels", "command"),
    [
        ("gpu", [], GPU),
        ("gpu", ["onnxruntime"], f"pip uninstall -y onnxruntime && {GPU}"),
        ("gpu", ["onnxruntime-gpu"], GPU),
        ("gpu", BOTH, f"pip uninstall -y onnxruntime onnxruntime-gpu && {GPU}"),
        ("cpu", ["onnxruntime"], CPU),
        ("cpu", ["onnxruntime-gpu"], f"pip uninstall -y onnxruntime-gpu && {CPU}"),
        ("export", BOTH, "pip install 'pixelproof[export]'"),
    ],
)
def test_an_extra_never_leaves_both_wheels_of_onnx_runtime(
    monkeypatch: pytest.MonkeyPatch, extra: str, wheels: list[str], command: str
):
    monkeypatch.setattr("pixelproof.errors.installed_wheels", lambda: wheels)
    assert install_command(extra) == command
    assert str(missing_extra("X", extra, "a test")) == f"a test needs X, which is not installed. Next: {command}"


@pytest.mark.parametrize(
    ("message", "reason", "next_step"),
    [
        ("no a, version 1.2. Next: pip install a", "no a, version 1.2", "pip install a"),
        ("is it there? Next: look", "is it there?", "look"),
        ("no word of it", "no word of it", ""),
    ],
)
def test_what_is_wrong_and_what_to_do_are_told_apart(message: str, reason: str, next_step: str):
    error = PixelproofError(message)
    assert (error.reason, error.next_step) == (reason, next_step)


def test_a_name_of_another_kind_is_told_as_it_is():
    assert str(unknown_name("part", None, ["a", "b"], "c")) == "unknown part 'None'; there are: a, b. Next: c"


def test_paths_are_quoted_where_a_shell_would_split_them():
    assert quote("plain/path") == "plain/path"
    assert quote("a b") == "'a b'"


def test_what_no_index_has_is_installed_from_the_clone():
    assert in_clone("pip install .") == "in pixelproof's clone, pip install ."


@pytest.mark.parametrize(
    ("stopped_by", "raised", "code"),
    [(KeyboardInterrupt(), Interrupted, 130), (SystemExit(143), Terminated, 143), (SystemExit(2), SystemExit, 2)],
)
def test_what_is_kept_is_told_however_work_is_stopped(
    stopped_by: BaseException, raised: type[BaseException], code: int
):
    with pytest.raises(raised) as left, resumable("3 images are kept"):
        raise stopped_by
    if isinstance(left.value, PixelproofError):
        assert str(left.value) == "stopped; 3 images are kept. Next: the same command goes on"
        assert left.value.exit_code == code
    else:
        assert left.value.code == code

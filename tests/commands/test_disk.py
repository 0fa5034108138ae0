"""Every command that writes, on a disk that is full or read-only: one line that names the target, nothing left."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

WRITING = {
    "export": ["export", "lenet", "--purifier", "none", "-o", "new/target"],
    "attack": ["attack", "BUNDLE", "--sample", "--images", "1", "-o", "new/target"],
    "bench defense": [
        *("bench", "defense", "BUNDLE", "--sample", "--images", "1", "--protocol", "transfer"),
        *("-o", "new/target.json"),
    ],
    "bench latency": ["bench", "latency", "BUNDLE", "--rounds", "1", "--batch", "1", "-o", "new/target.json"],
    "report": ["report", "results.json", "-o", "new/target.html"],
    "data export": ["data", "export", "new/target"],
}


@pytest.fixture
def command(request, lenet_median_bundle: Path, run_cli, tmp_path: Path, monkeypatch) -> list[str]:
    """A command of `WRITING`, its records made before, so that the target alone is left to be written."""
    monkeypatch.chdir(tmp_path)
    arguments = [str(lenet_median_bundle) if each == "BUNDLE" else each for each in WRITING[request.param]]
    if request.param == "report":
        bench = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "1", "--protocol", "transfer"]
        assert run_cli(*bench, "-o", "results.json").code == 0
    if request.param in ("attack", "bench defense"):
        assert run_cli(*arguments[:-2]).code == 0
    return arguments


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "new")


@pytest.mark.parametrize("command", WRITING, indirect=True)
def test_a_full_disk_is_named_and_leaves_nothing(command: list[str], run_cli, full_disk, tmp_path: Path):
    before = left(tmp_path)
    with full_disk(100):
        code, _, err = run_cli(*command)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"error: File too large '{command[-1]}'. Next: check the disk and the folder's permissions"
    )
    assert left(tmp_path) == before


@pytest.mark.parametrize("command", WRITING, indirect=True)
def test_a_read_only_disk_is_named_and_leaves_nothing(command: list[str], run_cli, monkeypatch, tmp_path: Path):
    """Where root runs the tests no permission is in its way, so the system's answer is put in place."""

    def refusing(make: Callable[..., object]) -> Callable[..., object]:
        def refuse(*arguments: object, dir: Path | None = None, **options: object) -> object:
            if dir is not None and Path(dir).name == "new":
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{dir}/{options['prefix']}123.tmp")
            return make(*arguments, dir=dir, **options)

        return refuse

    before = left(tmp_path)
    for name in ("mkstemp", "mkdtemp"):
        monkeypatch.setattr(f"tempfile.{name}", refusing(getattr(tempfile, name)))
    code, _, err = run_cli(*command)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"error: Read-only file system '{command[-1]}'. Next: check the disk and the folder's permissions"
    )
    assert left(tmp_path) == before

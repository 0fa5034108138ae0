"""Atomic writes: the whole new content, or what was there before, and nothing left behind."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pixelproof.files import (
    atomic_folder,
    atomic_path,
    check_writable,
    is_free,
    sha256_file,
    write_bytes,
    write_json,
    write_text,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tree(folder: Path) -> dict[str, str | None]:
    """Every path below, with a file's text or a folder's None."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() and not path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
    }


def break_off(file: Path, error: type[BaseException]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("half")
    raise error("half written")


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("existing", [None, "old"])
def test_a_file_is_seen_only_when_it_is_whole(tmp_path: Path, existing: str | None):
    target = tmp_path / "file"
    if existing:
        target.write_text(existing)
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert target.exists() == bool(existing)
        assert not existing or target.read_text() == existing
        assert temporary.parent == tmp_path  # the same file system, or renaming would copy
        temporary.write_text("whole")
    assert tree(tmp_path) == {"file": "whole"}


def test_a_file_that_cannot_be_renamed_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "target" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="target"):
        write_text(tmp_path / "target", "new")
    assert tree(tmp_path) == {"target": None, "target/inside": None}


def test_a_full_disk_is_told_with_the_targets_name(tmp_path: Path, full_disk):
    (tmp_path / "file").write_text("old")
    with full_disk(10), pytest.raises(OSError, match="too large") as full:
        write_text(tmp_path / "file", "longer than that")
    assert full.value.filename == str(tmp_path / "file")
    assert tree(tmp_path) == {"file": "old"}


def test_an_error_names_the_targets_and_not_the_temporary_files(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as missing, atomic_path(tmp_path / "file") as temporary:
        temporary.unlink()
    assert missing.value.filename == str(tmp_path / "file")
    with pytest.raises(FileNotFoundError) as missing, atomic_folder(tmp_path / "folder", replace=False) as new:
        (new / "none").read_text()
    assert missing.value.filename == str(tmp_path / "folder")
    with pytest.raises(FileNotFoundError) as missing, atomic_folder(tmp_path / "folder", replace=False):
        (tmp_path / "another").read_text()
    assert missing.value.filename == str(tmp_path / "another")


def test_the_file_and_the_folder_have_the_modes_that_the_user_gives_to_new_ones(tmp_path: Path, umask: int):
    write_text(tmp_path / "file", "new")
    with atomic_folder(tmp_path / "folder", replace=False) as new:
        assert mode(new) == 0o700  # private until it is whole
    assert mode(tmp_path / "file") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_missing_parents_are_made(tmp_path: Path):
    write_bytes(tmp_path / "a" / "b" / "file", b"new")
    with atomic_folder(tmp_path / "c" / "d" / "folder", replace=False) as new:
        (new / "file").write_text("new")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"
    assert (tmp_path / "c" / "d" / "folder" / "file").read_text() == "new"


def begin(target: Path, error: type[BaseException], *, replace: bool = False) -> None:
    """Write to `target`, a file or (with a name that ends in "folder") a folder, and break off."""
    writing = atomic_folder(target, replace=replace) if target.name == "folder" else atomic_path(target)
    with writing as temporary:
        break_off(temporary / "inside" if temporary.is_dir() else temporary, error)


@pytest.mark.parametrize("name", ["file", "folder"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_breaks_off_takes_the_parents_that_it_made_along(tmp_path: Path, name: str, error: type[BaseException]):
    (tmp_path / "theirs").mkdir()
    for target in (tmp_path / "a" / "b" / name, tmp_path / "theirs" / "c" / name, tmp_path / "theirs" / name):
        with pytest.raises(error):
            begin(target, error)
    assert tree(tmp_path) == {"theirs": None}


def break_off_after_others(temporary: Path, theirs: Path) -> None:
    theirs.write_text("whole")
    break_off(temporary, ValueError)


def test_parents_that_others_use_meanwhile_stay(tmp_path: Path):
    with pytest.raises(ValueError, match="half"), atomic_path(tmp_path / "a" / "b" / "c" / "file") as temporary:
        break_off_after_others(temporary, tmp_path / "a" / "theirs")
    assert tree(tmp_path) == {"a": None, "a/theirs": "whole"}


def test_parents_that_cannot_be_made_are_told_and_leave_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "dangling").symlink_to("none")
    for parent in ("file", "dangling"):
        for target in (tmp_path / parent / "new", tmp_path / parent / "a" / "b" / "new"):
            with pytest.raises(NotADirectoryError, match=parent), atomic_path(target):
                pytest.fail("the work was begun")
    (tmp_path / "dangling").unlink()
    assert tree(tmp_path) == {"file": "theirs"}


def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path):
    (tmp_path / "file").write_text("theirs")
    for target in (tmp_path / "new", tmp_path / "a" / "b" / "new", tmp_path / "file"):
        check_writable(target)
    for target in (tmp_path / "file" / "new", tmp_path / "file" / "a" / "new"):
        with pytest.raises(NotADirectoryError, match=r"'.*/file'"):
            check_writable(target)
    with pytest.raises(OSError, match=r"'/proc/a/new'"):  # nobody may make files there, root neither
        check_writable(Path("/proc/a/new"))
    assert tree(tmp_path) == {"file": "theirs"}


def test_json_is_indented_utf8_with_a_final_newline(tmp_path: Path):
    write_json(tmp_path / "file.json", {"größe": [1, 2.5, None]})
    content = (tmp_path / "file.json").read_bytes()
    assert json.loads(content) == {"größe": [1, 2.5, None]}
    assert content.startswith('{\n  "größe": [\n'.encode())
    assert content.endswith(b"}\n")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path):
    write_json(tmp_path / "file.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", object())
    assert tree(tmp_path) == {"file.json": "1\n"}


def test_a_folder_is_seen_only_when_it_is_whole(tmp_path: Path):
    target = tmp_path / "folder"
    with atomic_folder(target, replace=False) as new:
        (new / "file").write_text("new")
        assert not target.exists()
        assert new.parent == tmp_path
    assert tree(tmp_path) == {"folder": None, "folder/file": "new"}


def old_folder(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "file").write_text("old")
    return tmp_path / "folder"


def test_a_replaced_folder_holds_the_new_files_alone(tmp_path: Path):
    target = old_folder(tmp_path)
    with atomic_folder(target, replace=True) as new:
        (new / "other").write_text("new")
        assert (target / "inner" / "file").read_text() == "old"
    assert tree(tmp_path) == {"folder": None, "folder/other": "new"}


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(("name", "replace"), [("file", False), ("folder", False), ("folder", True)])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_what_was_there(
    tmp_path: Path, existing: bool, name: str, replace: bool, error: type[BaseException]
):
    if existing and name == "file":
        (tmp_path / name).write_text("old")
    elif existing and replace:
        old_folder(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(error):
        begin(tmp_path / name, error, replace=replace)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no", "folder"), SystemExit(143), KeyboardInterrupt()])
def test_a_replacement_that_cannot_be_renamed_puts_the_old_folder_back(monkeypatch, tmp_path: Path, error):
    target = old_folder(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(type(error)), atomic_folder(target, replace=True) as new:
        monkeypatch.setattr(Path, "replace", failing_for(new, error))
    assert tree(tmp_path) == before


def test_an_empty_folder_gives_way_and_its_mode_is_kept(tmp_path: Path):
    target = tmp_path / "private"
    target.mkdir(mode=0o700)
    assert is_free(target)
    with atomic_folder(target, replace=False) as new:
        (new / "file").write_text("new")
    assert mode(target) == 0o700
    assert tree(tmp_path) == {"private": None, "private/file": "new"}


def failing_for(source: Path, error: BaseException) -> Callable[[Path, Path], Path]:
    """`Path.replace`, but for `source`, where it is broken off."""
    replace = Path.replace

    def run(path: Path, target: Path) -> Path:
        if path == source:
            raise error
        return replace(path, target)

    return run


def test_without_replace_an_existing_folder_is_refused_at_once(tmp_path: Path):
    target = old_folder(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(FileExistsError), atomic_folder(target, replace=False):
        pytest.fail("the work was begun")
    assert tree(tmp_path) == before


def test_without_replace_a_folder_that_came_meanwhile_stays(tmp_path: Path):
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "folder", replace=False):
        old_folder(tmp_path)
    assert tree(tmp_path) == {"folder": None, "folder/inner": None, "folder/inner/file": "old"}


def test_an_empty_folder_that_is_filled_meanwhile_stays(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "folder", replace=False):
        (tmp_path / "folder" / "file").write_text("theirs")
    assert tree(tmp_path) == {"folder": None, "folder/file": "theirs"}


def test_what_is_no_empty_folder_to_be_renamed_onto_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    assert is_free(tmp_path / "none")
    assert not any(is_free(tmp_path / name) for name in ("file", "link", "dangling", "."))
    with monkeypatch.context() as inside:
        inside.setattr(Path, "is_mount", lambda _: True)  # making one takes a superuser
        assert not is_free(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    assert not is_free(Path())


def test_replacing_a_link_leaves_what_it_points_to(tmp_path: Path):
    target = old_folder(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(target)
    with atomic_folder(link, replace=True) as new:
        (new / "file").write_text("new")
    assert not link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]
    assert (link / "file").read_text() == "new"
    assert (target / "inner" / "file").read_text() == "old"


def test_replacing_a_file_by_a_folder(tmp_path: Path):
    (tmp_path / "target").write_text("a file")
    with atomic_folder(tmp_path / "target", replace=True) as new:
        (new / "file").write_text("new")
    assert tree(tmp_path) == {"target": None, "target/file": "new"}


def test_the_hash_is_of_the_bytes(tmp_path: Path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()

"""The order in which the data set is looked for, and what is said where it is not."""

from pathlib import Path

import pytest

from pixelproof.errors import DataError
from pixelproof.files import user_cache
from pixelproof.models.data.locate import ARCHIVE, FOLDER, locate


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIXELPROOF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").touch()
    return folder


def test_what_is_given_comes_before_the_environment_and_that_before_the_cache(monkeypatch, tmp_path: Path):
    cached = put(user_cache() / FOLDER)
    assert locate() == cached
    named = put(tmp_path / "named")
    monkeypatch.setenv("PIXELPROOF_DATA", str(named))
    assert locate() == named
    given = put(tmp_path / "given")
    assert locate(given) == locate(str(given)) == given


def test_an_archive_is_found_by_its_name_or_in_its_folder(tmp_path: Path):
    archive = tmp_path / ARCHIVE
    archive.touch()
    assert locate(archive) == locate(tmp_path) == archive
    folder = put(tmp_path / FOLDER)
    assert locate(tmp_path) == folder


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "pixelproof"


def test_the_place_that_was_looked_at_is_told(monkeypatch, tmp_path: Path):
    with pytest.raises(DataError, match=rf"no CIFAR-10 in '{user_cache()}' \(the user cache; neither --data nor"):
        locate()
    monkeypatch.setenv("PIXELPROOF_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"'{tmp_path}' \(\$PIXELPROOF_DATA\): there is no '{FOLDER}', no '{ARCHIVE}'"):
        locate()


def test_a_wrong_path_is_not_passed_over_for_another_place(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PIXELPROOF_DATA", str(put(tmp_path / "named")))
    with pytest.raises(
        DataError, match=r"'.*/typo' \(as given\): there is no such file or folder.*Next: pixelproof data"
    ):
        locate(tmp_path / "typo")

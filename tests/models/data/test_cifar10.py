"""Finding and reading the official binary version: full-size files, mostly zeros, with a few known records."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pixelproof.errors import DataError, UsageError
from pixelproof.files import user_cache
from pixelproof.models.data import CIFAR10_CLASSES, ImageSet, data_sha256, load_cifar10
from pixelproof.models.data.cifar10 import ARCHIVE, FILE_NBYTES, FOLDER, RECORD_NBYTES, SPLITS, locate

LAST = 9_999


def write_batch(path: Path, records: dict[int, tuple[int, np.ndarray]]) -> None:
    """A file of 10,000 records; `records` gives the label and the planes `(3, 32, 32)` uint8 of some."""
    with path.open("wb") as file:
        for index, (label, planes) in records.items():
            file.seek(index * RECORD_NBYTES)
            file.write(bytes([label]) + planes.tobytes())
        file.truncate(FILE_NBYTES)


def planes(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 32, 32), np.uint8)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parent of a complete data folder; the first record of file number k has label k, the test set's 9."""
    folder = tmp_path_factory.mktemp("home") / "cifar-10-batches-bin"
    folder.mkdir()
    for number, name in enumerate(SPLITS["train"], start=1):
        write_batch(folder / name, {0: (number, planes(number)), LAST: (9, planes(10 * number))})
    write_batch(folder / "test_batch.bin", {0: (9, planes(0)), 17: (3, planes(17)), LAST: (1, planes(99))})
    return folder.parent


@pytest.fixture(scope="module")
def archive(home: Path) -> Path:
    target = home / "own.tar.gz"
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        tar.add(home / "cifar-10-batches-bin" / "test_batch.bin", "some/folder/test_batch.bin")
    return target


def assert_is_test_set(data: ImageSet) -> None:
    assert (data.images.shape, data.images.dtype) == ((10_000, 32, 32, 3), np.uint8)
    assert (data.labels.shape, data.labels.dtype) == ((10_000,), np.int64)
    assert data.labels[[0, 1, 17, LAST]].tolist() == [9, 0, 3, 1]
    for index, seed in ((0, 0), (17, 17), (LAST, 99)):
        np.testing.assert_array_equal(data.images[index], np.moveaxis(planes(seed), 0, 2))
    assert not data.images[1:17].any()
    assert data.class_names == CIFAR10_CLASSES


def test_the_folder_its_parent_and_an_archive_hold_the_same(home: Path, archive: Path):
    for root in (home, str(home), home / "cifar-10-batches-bin", archive):
        assert_is_test_set(load_cifar10("test", root))


def test_the_training_set_is_the_five_files_in_order(home: Path):
    data = load_cifar10("train", home)
    assert len(data) == 50_000
    assert data.labels[::10_000].tolist() == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        first = (number - 1) * 10_000
        np.testing.assert_array_equal(data.images[first], np.moveaxis(planes(number), 0, 2))
        np.testing.assert_array_equal(data.images[first + LAST], np.moveaxis(planes(10 * number), 0, 2))


def test_hashes_are_of_the_six_files(home: Path):
    hashes = data_sha256(home)
    assert set(hashes) == {*SPLITS["train"], *SPLITS["test"]}
    content = (home / "cifar-10-batches-bin" / "data_batch_3.bin").read_bytes()
    assert hashes["data_batch_3.bin"] == hashlib.sha256(content).hexdigest()


def test_take_selects_in_the_given_order(home: Path):
    data = load_cifar10("test", home)
    assert data.take(np.array([LAST, 0])).labels.tolist() == [1, 9]
    assert len(data.take(slice(3, 8))) == 5
    assert data.take(data.labels == 3).images.tolist() == [np.moveaxis(planes(17), 0, 2).tolist()]


@pytest.mark.parametrize("nbytes", [0, FILE_NBYTES - 1, FILE_NBYTES + 1])
def test_a_truncated_file_says_expected_and_got(tmp_path: Path, nbytes: int):
    write_batch(tmp_path / "test_batch.bin", {})
    with (tmp_path / "test_batch.bin").open("rb+") as file:
        file.truncate(nbytes)
    message = rf"'test_batch.bin' is truncated or damaged: expected 30,730,000 bytes, got {nbytes:,}\. Next: pixelproof"
    with pytest.raises(DataError, match=message):
        load_cifar10("test", tmp_path)


def test_a_label_that_is_no_class_is_an_error(tmp_path: Path):
    write_batch(tmp_path / "test_batch.bin", {5: (10, planes(0))})
    with pytest.raises(DataError, match=r"'test_batch\.bin' is damaged: it has a label 10, the last class is 9"):
        load_cifar10("test", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path, archive: Path):
    (tmp_path / "data_batch_1.bin").write_bytes(b"")
    for root in (tmp_path, archive):
        with pytest.raises(DataError, match=r"has no 'data_batch_[12].bin'.*Next: pixelproof data fetch"):
            load_cifar10("train", root)


def test_an_archive_cut_short_or_of_another_kind_is_an_error(tmp_path: Path, archive: Path):
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:5], b"", b"no archive", whole[:200] + bytes(200) + whole[400:]):
        (tmp_path / "cut.tar.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"is no \.tar\.gz, or a damaged or truncated one"):
            load_cifar10("test", tmp_path / "cut.tar.gz")


def test_an_unknown_split_gets_the_nearest_name():
    with pytest.raises(UsageError, match="unknown split 'tset'; did you mean 'test'"):
        load_cifar10("tset")


def test_importing_brings_numpy_and_nothing_heavier():
    code = "import sys, pixelproof.models.data.fetch; print(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "numpy" in modules
    assert not modules & {"torch", "onnx", "onnxruntime", "safetensors", "PIL", "typer", "rich", "matplotlib"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty user cache, and no place named."""
    monkeypatch.delenv("PIXELPROOF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").touch()
    return folder


@pytest.mark.usefixtures("environment")
def test_what_is_given_comes_before_the_environment_and_that_before_the_cache(monkeypatch, tmp_path: Path):
    cached = put(user_cache() / FOLDER)
    assert locate() == cached
    named = put(tmp_path / "named")
    monkeypatch.setenv("PIXELPROOF_DATA", str(named))
    assert locate() == named
    given = put(tmp_path / "given")
    assert locate(given) == locate(str(given)) == given


@pytest.mark.usefixtures("environment")
def test_an_archive_is_found_by_its_name_or_in_its_folder(tmp_path: Path):
    archive = tmp_path / ARCHIVE
    archive.touch()
    assert locate(archive) == locate(tmp_path) == archive
    folder = put(tmp_path / FOLDER)
    assert locate(tmp_path) == folder


@pytest.mark.usefixtures("environment")
def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "pixelproof"


@pytest.mark.usefixtures("environment")
def test_the_place_that_was_looked_at_is_named(monkeypatch, tmp_path: Path):
    with pytest.raises(DataError, match=rf"no CIFAR-10 in '{user_cache()}' \(the user cache; neither --data nor"):
        locate()
    monkeypatch.setenv("PIXELPROOF_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"'{tmp_path}' \(\$PIXELPROOF_DATA\): there is no '{FOLDER}', no '{ARCHIVE}'"):
        locate()


@pytest.mark.usefixtures("environment")
def test_a_wrong_path_is_not_passed_over_for_another_place(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PIXELPROOF_DATA", str(put(tmp_path / "named")))
    with pytest.raises(
        DataError, match=r"'.*/typo' \(as given\): there is no such file or folder.*Next: pixelproof data"
    ):
        locate(tmp_path / "typo")

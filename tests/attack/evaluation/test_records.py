"""Records on disk: kept one by one, whole lines alone read back, settings never mixed; clean images asked once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation.records import Record, Store, gets_right
from pixelproof.errors import DataError
from pixelproof.models.data import ImageSet, sample
from pixelproof.runtime import Pipeline

SETTINGS = {"victim": "0" * 64, "data": "some", "method": "corners", "pixels": 1, "seed": 0}


def record(image: int, **fields) -> Record:
    values = {"success": True, "pixels": [[2, 3]], "colors": [[255, 0, 9]], "queries": 7, "exhausted": False}
    return Record(image=image, seconds=0.25, **values | fields)


def filled(folder: Path, *images: int, settings: dict = SETTINGS) -> Path:
    store = Store(folder, settings)
    for image in images:
        store.add(record(image))
    store.close()
    return store.path


def test_what_was_added_is_read_back(tmp_path: Path):
    store = Store(tmp_path / "new" / "records", SETTINGS)
    records = [record(4), record(2, success=False, pixels=[], colors=[], exhausted=True)]
    for each in records:
        store.add(each)
        again = Store(tmp_path / "new" / "records", SETTINGS)  # before the first is closed: it may never be
        assert again.records[each.image] == each
    store.close()
    assert list(again.records.values()) == records


def test_the_first_line_says_what_the_records_are_of(tmp_path: Path):
    first, *others = filled(tmp_path, 1, 2).read_text().splitlines()
    assert json.loads(first) == SETTINGS
    assert [json.loads(line) for line in others] == [record(1).to_json(), record(2).to_json()]


@pytest.mark.parametrize("change", [{"seed": 1}, {"victim": "1" * 64}, {"data": "others"}, {"target": 3}], ids=str)
def test_other_settings_have_records_of_their_own(tmp_path: Path, change: dict):
    path = filled(tmp_path, 1, 2)
    other = Store(tmp_path, SETTINGS | change)
    assert other.records == {}
    other.add(record(5))
    other.close()
    assert other.path != path
    assert Store(tmp_path, SETTINGS).records.keys() == {1, 2}
    assert Store(tmp_path, SETTINGS | change).records.keys() == {5}


def test_one_process_writes_at_a_time_and_the_next_goes_on_from_what_it_kept(tmp_path: Path):
    first, second = Store(tmp_path, SETTINGS), Store(tmp_path, SETTINGS)
    first.add(record(1))
    with pytest.raises(DataError, match=r"another process writes the records of the same attack to .* Next: wait"):
        second.add(record(1))
    first.add(record(2))
    first.close()
    for image in (2, 3):  # of which the first one has kept the one
        second.add(record(image))
    second.close()
    assert [json.loads(line)["image"] for line in second.path.read_text().splitlines()[1:]] == [1, 2, 3]


def test_a_store_that_nothing_was_added_to_leaves_no_file(tmp_path: Path):
    filled(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_line_torn_anywhere_is_dropped_and_the_next_record_follows_the_last_whole_line(tmp_path: Path, kept: int):
    path = filled(tmp_path, 1, 2)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    start = sum(map(len, lines[:kept]))
    for length in range(len(lines[kept])):
        path.write_bytes(content[: start + length])
        store = Store(tmp_path, SETTINGS)
        assert list(store.records) == [1, 2][: max(kept - 1, 0)]
        store.add(record(9))
        store.close()
        assert path.read_bytes() == b"".join([*lines[: max(kept, 1)], json.dumps(record(9).to_json()).encode(), b"\n"])


DAMAGED = {
    "no JSON": (2, "{"),
    "another kind of line": (2, '{"image": 1}'),
    "zeros": (3, "\0\0\0"),
    "no object": (2, "7"),
    "other settings": (1, json.dumps(SETTINGS | {"seed": 1})),
}


@pytest.mark.parametrize(("number", "text"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_before_the_last_line_is_named_and_nothing_is_overwritten(tmp_path: Path, number: int, text: str):
    path = filled(tmp_path, 1, 2, 3)
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"'{path}' are damaged in line {number}. Next: delete the file"):
        Store(tmp_path, SETTINGS)
    assert path.read_bytes() == before


def test_a_full_disk_is_named_and_what_found_no_room_does_not_count(tmp_path: Path, full_disk):
    path = filled(tmp_path, 1)
    with full_disk(path.stat().st_size + 20):
        store = Store(tmp_path, SETTINGS)
        with pytest.raises(OSError, match="too large") as full:
            store.add(record(2))
        assert full.value.filename == str(path)
        assert store.records.keys() == {1}
        with pytest.raises(OSError, match="too large"):
            store.close()
    filled(tmp_path, 3)
    assert Store(tmp_path, SETTINGS).records == {1: record(1), 3: record(3)}


def test_records_that_cannot_be_kept_are_told_before_the_work(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file' is a file, and records are kept in a folder.*Next: give another"):
        Store(tmp_path / "file", SETTINGS)
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file" / "below", SETTINGS)
    assert (tmp_path / "file").read_text() == "mine"


def test_records_that_are_shipped_are_read(pytestconfig: pytest.Config):
    folder = pytestconfig.rootpath / "benchmarks" / "results" / "records"
    paths = list(folder.glob("*.jsonl"))
    assert paths
    for path in paths:
        settings = json.loads(path.read_text().partition("\n")[0])
        store = Store(folder, settings)
        assert store.path == path
        assert len(store.records) == path.read_text().count("\n") - 1


CHILD = """
import sys
from pathlib import Path
from pixelproof.attack.evaluation.records import Record, Store
run = Store(Path(sys.argv[1]), {"seed": 0})
for image in range(max(run.records, default=-1) + 1, 100_000):
    run.add(Record(image, True, [[1, 2]], [[3, 4, 5]], 6, False, 0.5))
    print(image, flush=True)
"""


def test_kills_at_any_moment_lose_nothing_that_was_said_to_be_kept(tmp_path: Path):
    path, said = tmp_path / "records", -1
    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said = int(line)
                if said % (7 + 5 * number) == 3:
                    os.kill(process.pid, signal.SIGKILL)
                    break
        kept = Store(path, {"seed": 0}).records
        assert list(kept) == list(range(len(kept)))
        assert len(kept) > said


@pytest.fixture
def some() -> ImageSet:
    return sample().take(np.arange(24))


def test_it_is_what_the_network_says_and_is_asked_once(lenet_median_bundle: Path, some, tmp_path, monkeypatch):
    with Pipeline(lenet_median_bundle) as whole, Pipeline(lenet_median_bundle, part="classifier") as bare:
        expected = [each.predict(some.images).argmax(1) == some.labels for each in (whole, bare)]
        found = [gets_right(each, some, tmp_path / "new") for each in (whole, bare)]
        monkeypatch.setattr(Pipeline, "predict", lambda *_: pytest.fail("asked again"))
        again = [gets_right(each, some, tmp_path / "new") for each in (whole, bare)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again, expected)
    assert all(0 < right.sum() < len(right) for right in expected)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_other_images_or_labels_are_asked_of(lenet_median_bundle: Path, some, tmp_path):
    relabeled = ImageSet(some.images, (some.labels + 1) % 10, some.class_names)
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        for data in (some, relabeled, some.take(np.arange(23))):
            expected = bare.predict(data.images).argmax(1) == data.labels
            np.testing.assert_array_equal(gets_right(bare, data, tmp_path), expected)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_stands_before_the_network_is_asked_of_apart(lenet_median_bundle: Path, some, tmp_path, monkeypatch):
    changes = {"upside down": lambda images: images[:, ::-1], "dark": lambda images: images // 4}
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        expected = [bare.predict(change(some.images)).argmax(1) == some.labels for change in changes.values()]
        found = [gets_right(bare, some, tmp_path, behind) for behind in changes.items()]
        plain = gets_right(bare, some, tmp_path)
        monkeypatch.setattr(Pipeline, "predict", lambda *_: pytest.fail("asked again"))
        again = [gets_right(bare, some, tmp_path, behind) for behind in changes.items()]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(again, expected)
    assert any((right != plain).any() for right in expected)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: "{",
        lambda kept: "[]",
        lambda kept: json.dumps(kept | {"wrong": [24]}),
        lambda kept: json.dumps(kept | {"wrong": [-1]}),
        lambda kept: json.dumps(kept | {"provider": "another"}),
        lambda kept: "{}",
    ],
)
def test_a_damaged_file_is_named(damage, lenet_median_bundle: Path, some, tmp_path):
    with Pipeline(lenet_median_bundle, part="classifier") as bare:
        gets_right(bare, some, tmp_path)
        (file,) = tmp_path.iterdir()
        file.write_text(damage(json.loads(file.read_text())))
        with pytest.raises(DataError, match=f"'{file}' is damaged. Next: delete the file"):
            gets_right(bare, some, tmp_path)

"""The attack's SQLite file: what was added is there after a kill, settings are never mixed, damage is named."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pixelproof.attack.evaluation.run_file import RunFile
from pixelproof.attack.evaluation.store import Record
from pixelproof.errors import DataError

SETTINGS = {"victim": "0" * 64, "data": "some", "method": "corners", "pixels": 1, "seed": 0}


def record(image: int, **fields) -> Record:
    values = {"success": True, "pixels": [[2, 3]], "colors": [[255, 0, 9]], "queries": 7, "exhausted": False}
    return Record(image=image, seconds=0.25, **values | fields)


def filled(path: Path, *images: int, settings: dict = SETTINGS) -> Path:
    run = RunFile(path, settings)
    for image in images:
        run.add(record(image))
    run.close()
    return path


def test_what_was_added_is_read_back(tmp_path: Path):
    path = tmp_path / "new" / "attack.sqlite"
    records = [record(4), record(2, success=False, pixels=[], colors=[], exhausted=True)]
    run = RunFile(path, SETTINGS)
    for each in records:
        run.add(each)
        assert RunFile(path, SETTINGS).records[each.image] == each  # before the first is closed: it may never be
    run.close()
    assert RunFile(path, SETTINGS).records == {4: records[0], 2: records[1]}


def test_it_is_a_write_ahead_log(tmp_path: Path):
    database = sqlite3.connect(filled(tmp_path / "a.sqlite", 1))
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


@pytest.mark.parametrize("change", [{"seed": 1}, {"victim": "1" * 64}, {"data": "others"}, {"target": 3}], ids=str)
def test_other_settings_have_records_of_their_own_in_the_same_file(tmp_path: Path, change: dict):
    path = filled(tmp_path / "a.sqlite", 1, 2)
    assert RunFile(path, SETTINGS | change).records == {}
    filled(path, 2, 5, settings=SETTINGS | change)
    assert RunFile(path, SETTINGS).records.keys() == {1, 2}
    assert RunFile(path, SETTINGS | change).records.keys() == {2, 5}


def test_a_run_that_nothing_was_added_to_leaves_no_file(tmp_path: Path):
    filled(tmp_path / "new" / "a.sqlite")
    assert list((tmp_path / "new").iterdir()) == []


CHILD = """
import sys
from pathlib import Path
from pixelproof.attack.evaluation.run_file import RunFile
from pixelproof.attack.evaluation.store import Record
run = RunFile(Path(sys.argv[1]), {"seed": 0})
for image in range(max(run.records, default=-1) + 1, 100_000):
    run.add(Record(image, True, [[1, 2]], [[3, 4, 5]], 6, False, 0.5))
    print(image, flush=True)
"""


def test_kills_at_any_moment_lose_nothing_that_was_said_to_be_kept(tmp_path: Path):
    path, said = tmp_path / "a.sqlite", -1
    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said = int(line)
                if said % (7 + 5 * number) == 3:
                    os.kill(process.pid, signal.SIGKILL)
                    break
        kept = RunFile(path, {"seed": 0}).records
        assert list(kept) == list(range(len(kept)))
        assert len(kept) > said


def test_another_sqlite_file_is_left_alone(tmp_path: Path):
    path = tmp_path / "mine.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (a)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"mine\.sqlite' is an SQLite file, but not of pixelproof attack\. Next: "):
        RunFile(path, SETTINGS)
    assert path.read_bytes() == before


def test_what_is_no_sqlite_file_and_damage_are_named(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(DataError, match=r"a\.sqlite' is no SQLite file\. Next: give another --records"):
        RunFile(path, SETTINGS)
    path.unlink()
    filled(path, *range(500))
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a\.sqlite' are damaged: "):
        RunFile(path, SETTINGS)


def test_a_second_process_at_the_same_attack_is_told_so_and_harms_nothing(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    first, second = RunFile(path, SETTINGS), RunFile(path, SETTINGS)
    first.add(record(3))
    with pytest.raises(DataError, match=r"another process writes the records of the same attack to .*a\.sqlite'"):
        second.add(record(3))
    second.add(record(4))
    first.close()
    second.close()
    assert sorted(RunFile(path, SETTINGS).records) == [3, 4]


def test_settings_that_are_not_those_of_their_hash_are_refused(tmp_path: Path):
    path = filled(tmp_path / "a.sqlite", 1)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE configuration SET settings = '{}'")
    database.close()
    with pytest.raises(DataError, match="are damaged: its settings are not those of their hash"):
        RunFile(path, SETTINGS)


def test_a_full_disk_is_named_and_what_found_no_room_does_not_count(tmp_path: Path, full_disk):
    path = filled(tmp_path / "a.sqlite", 1)

    def fill(run: RunFile) -> None:
        for image in range(2, 1000):
            run.add(record(image))

    with full_disk(40_000):  # room for the index that SQLite lays beside, and little more
        run = RunFile(path, SETTINGS)
        with pytest.raises(DataError, match=r"a\.sqlite' cannot be kept: .*Next: check the disk"):
            fill(run)
        kept = set(run.records)
        run.close()
    assert 1 < len(kept) < 999
    assert RunFile(path, SETTINGS).records.keys() == kept

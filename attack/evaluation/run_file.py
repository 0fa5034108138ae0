"""The outcome of each attacked image in one SQLite file, each under the hash of what it depends on."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pixelproof.attack.evaluation.store import Record, written_elsewhere
from pixelproof.errors import DataError

APPLICATION_ID = 0x70697870  # "pixp": tells the file from other SQLite databases
_TABLES = f"""
PRAGMA journal_mode = WAL;
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE IF NOT EXISTS configuration (hash TEXT PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcome (
    configuration TEXT NOT NULL REFERENCES configuration,
    image INTEGER NOT NULL, success INTEGER NOT NULL, pixels TEXT NOT NULL, colours TEXT NOT NULL,
    queries INTEGER NOT NULL, exhausted INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (configuration, image)
) WITHOUT ROWID;
"""
_COLUMNS = ("image", "success", "pixels", "colours", "queries", "exhausted", "seconds")
_PATIENCE_S = 10.0  # for another process that is writing


class RunFile:
    """The records of one search in the file `path`, which may hold many searches', never mixed.

    A kill at any moment leaves the records that were added before it (write-ahead log).

    Args:
        path: of the file; made with the first record.
        settings: what the records depend on; neither the number of images, which may grow, nor how they are batched.

    Raises:
        DataError: the file is damaged, is none of pixelproof's, or holds other settings under the same hash.
        OSError: the folder cannot be made.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self._settings = json.dumps(settings, sort_keys=True)
        self._hash = hashlib.sha256(self._settings.encode()).hexdigest()
        self._database: sqlite3.Connection | None = None
        self.records: dict[int, Record] = {}
        path.parent.mkdir(parents=True, exist_ok=True)  # at once: that it can't be is told before the long work
        if path.exists():
            with self._errors_name(), closing(self._open_to_read()) as database:
                self.records = {record.image: record for record in self._read(database)}

    def add(self, record: Record) -> None:
        """Keep `record`; it is on its way to the disk before this returns."""
        held = record.to_json()
        held |= {name: json.dumps(held[name]) for name in ("pixels", "colours")}
        with self._errors_name():
            if self._database is None:
                self._database = self._open_to_write()
            with self._database:
                self._database.execute(
                    "INSERT OR IGNORE INTO configuration VALUES (?, ?)", (self._hash, self._settings)
                )
                marks = ", ".join("?" * (1 + len(_COLUMNS)))
                values = (self._hash, *(held[name] for name in _COLUMNS))
                self._database.execute(f"INSERT INTO outcome VALUES ({marks})", values)
        self.records[record.image] = record

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open_to_read(self) -> sqlite3.Connection:
        """The file as it is; where no log lies beside it, nothing is written, so that a full disk is no hindrance."""
        log = Path(f"{self.path}-wal")
        address = self.path.absolute().as_uri() + ("?mode=rw" if log.exists() else "?immutable=1")
        database = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S)
        with _closed_on_error(database):
            self._check_kind(database)
        return database

    def _open_to_write(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_PATIENCE_S)
        with _closed_on_error(database):
            if self._check_kind(database):
                database.executescript(_TABLES)
            database.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing, a power cut the last few at most
        return database

    def _check_kind(self, database: sqlite3.Connection) -> bool:
        """Refuse a database of another kind; whether the file is empty."""
        (kind,) = database.execute("PRAGMA application_id").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and kind != APPLICATION_ID:
            raise DataError(
                f"'{self.path}' is an SQLite file, but not of pixelproof attack. Next: give another --records"
            )
        return not tables

    def _read(self, database: sqlite3.Connection) -> Iterator[Record]:
        if self._check_kind(database):
            return
        held = database.execute("SELECT settings FROM configuration WHERE hash = ?", (self._hash,)).fetchone()
        if held is not None and held[0] != self._settings:
            raise self._damaged("its settings are not those of their hash")
        columns = ", ".join(_COLUMNS)
        rows = database.execute(f"SELECT {columns} FROM outcome WHERE configuration = ?", (self._hash,))
        for image, success, pixels, colors, queries, exhausted, seconds in rows:
            try:
                where, what = json.loads(pixels), json.loads(colors)
            except (TypeError, ValueError):
                raise self._damaged(f"image {image} has no pixels or colors") from None
            yield Record(image, bool(success), where, what, queries, bool(exhausted), seconds)

    @contextmanager
    def _errors_name(self) -> Iterator[None]:
        """Let SQLite's errors name the file and what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DataError(
                f"the records in '{self.path}' cannot be kept: {error}. Next: check the disk and the folder's "
                "permissions, or give another --records"
            ) from None
        except sqlite3.IntegrityError:  # `add` alone writes, and an image is attacked once
            raise written_elsewhere(self.path) from None
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise DataError(f"'{self.path}' is no SQLite file. Next: give another --records") from None
            raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> DataError:
        return DataError(
            f"the records in '{self.path}' are damaged: {why}. Next: move the file away; the same command then attacks "
            "its images again"
        )


@contextmanager
def _closed_on_error(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise

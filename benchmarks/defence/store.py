"""The outcome of each attacked image, a line a image, so that a measurement resumes where it stopped."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class Record:
    """What one search of one image gave.

    Attributes:
        image: index in the data set.
        success: a verified success.
        pixels: row and column of each changed pixel; empty without success.
        colours: r, g, b of each changed pixel; likewise.
        queries: as counted by the attack.
        exhausted: every candidate of the set was evaluated.
        seconds: of the search, by the image's share of the batches.
    """

    image: int
    success: bool
    pixels: list[list[int]]
    colours: list[list[int]]
    queries: int
    exhausted: bool
    seconds: float


class Store:
    """The records of one search: one victim, data set, method and seed. Other settings make another file.

    Args:
        folder: of all stores.
        settings: what the records depend on; the number of images is not part of it, since it may grow.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        text = json.dumps(settings, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.jsonl"
        self.records: dict[int, Record] = {}
        self._file: TextIO | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.records = {record.image: record for record in _whole_lines(self.path)}
        else:
            self.path.write_text(text + "\n")

    def add(self, record: Record) -> None:
        """Keep `record`, on disk before this returns."""
        self.records[record.image] = record
        if self._file is None:
            _drop_torn_line(self.path)
            self._file = self.path.open("a")
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _whole_lines(path: Path) -> Iterator[Record]:
    content = path.read_text()
    whole = content[: content.rfind("\n") + 1]
    return (Record(**json.loads(line)) for line in whole.splitlines()[1:])


def _drop_torn_line(path: Path) -> None:
    """A process that was killed may have left half a line."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)

"""What came of each attacked image, a line an image, and which clean images a bundle gets right.

A search has a file of its own, under the hash of what its records depend on. So `pixelproof attack` and `bench defense`
go on from each other's work, and a process that is killed at any moment loses no record that was added before.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from pixelproof.errors import DataError
from pixelproof.files import errors_name, write_text
from pixelproof.models.data import ImageSet
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

FOLDER = Path("runs/records")
"""Where records go unless another folder is named."""
Transform = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 images `(n, H, W, 3)` to the same."""


@dataclass(frozen=True)
class Record:
    """What one search of one image gave.

    Attributes:
        image: index in the data set.
        success: a verified success.
        pixels: row and column of each changed pixel; empty without success.
        colors: r, g, b of each changed pixel; likewise.
        queries: as counted by the attack.
        exhausted: every candidate of the set was evaluated.
        seconds: since the image before it ended; many are under way at a time, so that only their mean is meaningful.
    """

    image: int
    success: bool
    pixels: list[list[int]]
    colors: list[list[int]]
    queries: int
    exhausted: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The record as files hold it, in which `colors` is spelled "colours"."""
        return {"colours" if name == "colors" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, held: dict[str, Any]) -> "Record":
        """What `to_json` gave; `KeyError` or `TypeError` where `held` is something else."""
        return cls(**{"colors": held["colours"], **{name: each for name, each in held.items() if name != "colours"}})


class Store:
    """The records of one search: one victim, data set, method and seed. Other settings make another file.

    Args:
        folder: of all stores.
        settings: what the records depend on; the number of images is not part of it, since it may grow.

    Raises:
        DataError: `folder` is a file, or the search's file is damaged before its last line.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        _make(folder)  # at once: a folder that cannot be made is reported before the long work
        self._header = json.dumps(settings, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(self._header.encode()).hexdigest()[:16]}.jsonl"
        self.records = {record.image: record for record in _read(self.path, self._header)}
        self._file: TextIO | None = None  # made with the first record: what never began leaves none

    def add(self, record: Record) -> None:
        """Keep `record`, handed to the system before this returns."""
        with errors_name(self.path):
            if self._file is None:
                self._file = _open(self.path, self._header)
                # another process may have ended meanwhile
                self.records |= {each.image: each for each in _read(self.path, self._header)}
            if record.image in self.records:
                return
            self._file.write(json.dumps(record.to_json()) + "\n")
            self._file.flush()
        self.records[record.image] = record

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with errors_name(self.path):  # what a full disk refused is tried once more
                self._file.close()


def _make(folder: Path) -> None:
    if folder.is_file():
        raise DataError(
            f"'{folder}' is a file, and records are kept in a folder; the SQLite files of earlier versions are not "
            "read. Next: give another --records"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _read(path: Path, header: str) -> list[Record]:
    """The records in the file `path`, if there is one; `DataError` unless it is whole but for its last line."""
    content = path.read_bytes() if path.exists() else b""
    records = []
    for number, line in enumerate(content[: _whole_nbytes(content)].splitlines(), 1):
        try:
            if number > 1:
                records.append(Record.from_json(json.loads(line)))
            elif line != header.encode():
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise DataError(
                f"the records in '{path}' are damaged in line {number}. Next: delete the file; the same command then "
                "attacks its images again"
            ) from None
    return records


def _open(path: Path, header: str) -> TextIO:
    """The file, ready for another record, without the half line that a process may have left that was killed.

    It is this process's alone until it is closed; `DataError` where it is another's.
    """
    file = path.open("a", encoding="utf-8")
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DataError(
            f"another process writes the records of the same attack to '{path}'. Next: wait until it has ended; the "
            "same command then goes on from what it kept"
        ) from None
    whole = _whole_nbytes(path.read_bytes())
    file.truncate(whole)
    if not whole:
        file.write(header + "\n")
    return file


def _whole_nbytes(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def gets_right(
    network: Pipeline, data: ImageSet, folder: Path, behind: tuple[str, Transform] | None = None
) -> NDArray[np.bool_]:
    """Whether the network's most probable class is the label, bool `(len(data),)`; kept in `folder`.

    What is kept is of this graph, these images and labels, this execution provider, and what stands before the graph.

    Args:
        network: a bundle, or its bare classifier.
        data: the images.
        folder: beside the records of attacks.
        behind: the name of a change that images go through first, settings included, and the change.

    Raises:
        DataError: what was kept is damaged.
    """
    of = {"graph": graph_sha256(network.graph), "data": data.sha256(), "provider": network.provider}
    if behind is not None:
        of["behind"] = behind[0]
    name = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"clean-{name}.json"
    if path.exists():
        return _kept(path, of, len(data))
    shown = data.images if behind is None else behind[1](data.images)
    _make(folder)
    right: NDArray[np.bool_] = network.predict(shown).argmax(1) == data.labels
    write_text(path, json.dumps(of | {"wrong": np.flatnonzero(~right).tolist()}) + "\n")
    return right


def _kept(path: Path, of: dict[str, str], n: int) -> NDArray[np.bool_]:
    right = np.ones(n, np.bool_)
    try:
        kept = json.loads(path.read_bytes())
        wrong = np.array(kept.pop("wrong"), np.int64)
        if kept != of or (wrong < 0).any():
            raise ValueError
        right[wrong] = False
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise DataError(
            f"what was kept in '{path}' is damaged. Next: delete the file; the same command then asks the network again"
        ) from None
    return right

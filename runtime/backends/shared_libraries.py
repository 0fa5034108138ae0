"""Which shared libraries a library asks for and does not find, read from its file: no loader is asked to try."""

import ctypes
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_END, _NEEDED, _STRINGS, _STRINGS_SIZE = 0, 1, 5, 10  # kinds of dynamic entries


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def missing_libraries(path: Path) -> list[str]:
    """Those that the file names as needed and that do not load; none of a file that is no 64-bit ELF library.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        names = list(_needed(file)) if file.read(6) == _ELF64_LITTLE else []
    return [name for name in names if not loads(name)]


def loads(name: str) -> bool:
    """Whether a shared library of this name is there, and all that it needs."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _needed(file: BinaryIO) -> Iterator[str]:
    """Sources: the ELF-64 object file format, and "Dynamic Section" of the System V ABI."""
    segments = list(_segments(file))
    dynamic = next((segment for segment in segments if segment.kind == _DYNAMIC), None)
    if dynamic is None:
        return
    entries = []
    for kind, value in struct.iter_unpack("<qQ", _read(file, dynamic.offset, dynamic.size)):
        if kind == _END:
            break
        entries.append((kind, value))
    of_kind = dict(entries)
    address, size = of_kind[_STRINGS], of_kind[_STRINGS_SIZE]
    (holder,) = (s for s in segments if s.kind == _LOAD and s.address <= address < s.address + s.size)
    strings = _read(file, address - holder.address + holder.offset, size)
    for kind, value in entries:
        if kind == _NEEDED:
            yield strings[value : strings.index(0, value)].decode()


def _segments(file: BinaryIO) -> Iterator[_Segment]:
    (table,) = struct.unpack("<Q", _read(file, 32, 8))
    each, count = struct.unpack("<HH", _read(file, 54, 4))
    for number in range(count):
        kind, _, offset, address, _, size = struct.unpack("<IIQQQQ", _read(file, table + number * each, 40))
        yield _Segment(kind, offset, address, size)


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)

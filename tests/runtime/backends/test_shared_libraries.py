"""What a library asks for and does not find."""

import _ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from pixelproof.runtime.backends.shared_libraries import loads, missing_libraries


def test_a_library_that_loads_misses_nothing():
    assert missing_libraries(Path(_ctypes.__file__)) == []
    assert loads(_ctypes.__file__)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: it links a library")
def test_what_is_gone_is_named(tmp_path: Path):
    source = tmp_path / "empty.c"
    source.write_text("int nothing;")
    for name in ("one", "two"):
        subprocess.run(["gcc", "-shared", source, "-o", tmp_path / f"libgone-{name}.so"], check=True)
    linked = ["-Wl,--no-as-needed", f"-L{tmp_path}", "-lgone-one", "-lgone-two"]
    subprocess.run(["gcc", "-shared", source, "-o", tmp_path / "libasking.so", *linked], check=True)
    (tmp_path / "libgone-one.so").unlink()
    (tmp_path / "libgone-two.so").unlink()
    assert missing_libraries(tmp_path / "libasking.so") == ["libgone-one.so", "libgone-two.so"]
    assert not loads(str(tmp_path / "libasking.so"))


@pytest.mark.parametrize("content", [b"", b"a text", b"\x7fELF\x01\x01 of 32 bits"])
def test_what_is_no_library_names_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "file").write_bytes(content)
    assert missing_libraries(tmp_path / "file") == []

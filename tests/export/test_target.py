"""Where an export goes: what is there stays whole until the new bundle is, and nothing half-made is left."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pixelproof.errors import UsageError
from pixelproof.export import export_bundle

SHAPES = ("circle", "square", "triangle")


@pytest.fixture
def small(make_onnx: Callable[..., Path], tmp_path: Path) -> Callable[..., None]:
    """Exports quickly: an ONNX file without a purifier."""
    path = make_onnx(size=(8, 8)).rename(tmp_path.with_suffix(".onnx"))
    return lambda output, **options: export_bundle(path, output, purifier="none", class_names=SHAPES, **options)


def test_a_bundle_is_replaced_by_force_alone(small: Callable[..., None], tmp_path: Path):
    bundle = tmp_path / "bundle"
    small(bundle)
    first = (bundle / "bundle.json").read_bytes()
    (bundle / "engines").mkdir()
    with pytest.raises(UsageError, match=r"exists already\. Next: --force"):
        small(bundle)
    assert (bundle / "bundle.json").read_bytes() == first
    small(bundle, force=True)
    assert sorted(path.name for path in bundle.iterdir()) == ["bundle.json", "classifier.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


def test_an_empty_folder_is_filled_and_no_other(small: Callable[..., None], tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"exists already\. Next: another -o BUNDLE$"):  # --force would be refused
        small(tmp_path / "photos")
    small(tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["bundle.json", "classifier.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "photos"]


def test_force_replaces_nothing_but_bundles(small: Callable[..., None], tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"")
    (tmp_path / "file").write_text("mine")
    for name in ("photos", "file"):
        with pytest.raises(UsageError, match="is no bundle, and --force replaces bundles alone"):
            small(tmp_path / name, force=True)
    with pytest.raises(UsageError, match="is a file, and"):
        small(tmp_path / "file" / "bundle")
    assert (tmp_path / "photos" / "me.png").exists()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("fails", ["write_bytes", "write_json"])
def test_a_full_disk_leaves_the_old_bundle(
    fails: str, small: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    small(tmp_path / "bundle")
    before = {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}

    def full(target: Path, _content: object) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(f"pixelproof.export.bundle_writer.{fails}", full)
    with pytest.raises(OSError, match="No space left"):
        small(tmp_path / "bundle", force=True)
    assert {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_ctrl_c_leaves_nothing(small: Callable[..., None], tmp_path: Path):
    def stop(doing: str) -> None:
        if doing.startswith("verifying"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / "bundle", progress=stop)
    assert list(tmp_path.iterdir()) == []

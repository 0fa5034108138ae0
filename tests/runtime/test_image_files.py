"""Which image files are read, and what the others are told; every remedy in a message is tried."""

import os
import shlex
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.cli import main
from pixelproof.errors import UsageError
from pixelproof.runtime.images import read_images

HEIGHT, WIDTH = 24, 32
PIXELS = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
Save = Callable[[Path], object]


def save(pixels: np.ndarray, mode: str = "RGB", **options: object) -> Save:
    return lambda path: Image.fromarray(pixels).convert(mode).save(path, **options)


def png(path: Path, color_type: int, channels: int, width: int = WIDTH) -> None:
    """A PNG of 16 bits a channel, which Pillow itself cannot write; its header says `width`."""
    rows = b"".join(b"\0" + b"\x80\x40" * (WIDTH * channels) for _ in range(HEIGHT))
    header = struct.pack(">IIBBBBB", width, HEIGHT, 16, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def animated(path: Path) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    save(PIXELS)(path)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tiff"])
def test_lossless_files_come_back_as_they_were(tmp_path: Path, name: str):
    save(PIXELS)(tmp_path / name)
    np.testing.assert_array_equal(read_images([tmp_path / name] * 2, (HEIGHT, WIDTH)), [PIXELS, PIXELS])


def test_an_opaque_palette_and_a_jpeg_are_taken(tmp_path: Path):
    save(PIXELS, "P")(tmp_path / "palette.png")
    save(PIXELS)(tmp_path / "photo.jpg")
    images = read_images([tmp_path / "palette.png", tmp_path / "photo.jpg"], (HEIGHT, WIDTH))
    assert images.shape == (2, HEIGHT, WIDTH, 3)
    with Image.open(tmp_path / "palette.png") as palette:
        np.testing.assert_array_equal(images[0], np.asarray(palette.convert("RGB")))


def turned(orientation: int, *, sideways: bool = True) -> Save:
    """Writes the pixels, which a camera held another way says are to be turned."""

    def write(path: Path) -> None:
        exif = Image.Exif()
        exif[0x112] = orientation
        Image.fromarray(PIXELS.swapaxes(0, 1) if sideways else PIXELS).save(path, exif=exif)

    return write


MENDABLE: dict[str, tuple[str, Save, str]] = {
    "gray": ("a.png", save(PIXELS, "L"), r"is gray \(mode L\), expected 8-bit RGB of 24x32"),
    "black and white": ("a.png", save(PIXELS, "1"), r"is gray \(mode 1\)"),
    "gray with alpha": ("a.png", save(PIXELS, "LA"), r"has alpha \(mode LA\)"),
    "alpha": ("a.png", save(PIXELS, "RGBA"), r"has alpha \(mode RGBA\)"),
    "palette with a transparent color": ("a.png", save(PIXELS, "P", transparency=3), r"has alpha \(mode P\)"),
    "RGB with a transparent color": ("a.png", save(PIXELS, transparency=(1, 2, 3)), r"has alpha \(mode RGB\)"),
    "CMYK": ("a.jpg", save(PIXELS, "CMYK"), "is CMYK"),
    "RGB of 16 bits": ("a.png", lambda path: png(path, 2, 3), "has 16 bits a channel"),
    "gray of 16 bits": ("a.png", lambda path: png(path, 0, 1), "has 16 bits a pixel"),
    "turned": ("a.png", save(PIXELS.swapaxes(0, 1)), r"is 32x24, expected 8-bit RGB of 24x32 \(height x width\)"),
    "animated": ("a.png", animated, "has 2 frames"),
    "sideways": ("a.jpg", turned(6), r"is to be turned \(EXIF orientation 6\)"),
    "sideways, and of the size": ("a.jpg", turned(8, sideways=False), r"is to be turned \(EXIF orientation 8\)"),
    "upside down, PNG": ("a.png", turned(3, sideways=False), r"is to be turned \(EXIF orientation 3\)"),
    "gray and of another size": ("a.png", save(PIXELS.swapaxes(0, 1), "L"), r"is gray \(mode L\)"),
    "with alpha and of another size": ("a.png", save(PIXELS[:20], "RGBA"), r"has alpha \(mode RGBA\)"),
}


@pytest.mark.parametrize(("name", "write", "message"), MENDABLE.values(), ids=MENDABLE.keys())
def test_an_unfit_image_is_named_and_its_remedy_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Save, message: str
):
    write(tmp_path / name)
    with pytest.raises(UsageError, match=message) as caught:
        read_images([tmp_path / name], (HEIGHT, WIDTH))
    assert f"'{tmp_path / name}'" in str(caught.value)
    assert mended(tmp_path / name, monkeypatch).shape == (HEIGHT, WIDTH, 3)


def mended(path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The image that the remedy makes of an unfit one, which stays."""
    before = path.read_bytes()
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "argv", shlex.split(next_command(path)))
    assert sys.argv[:3] == ["pixelproof", "data", "fit"]
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert path.read_bytes() == before
    return read_images([elsewhere / f"{path.stem}-fit" / f"{path.stem}.png"], (HEIGHT, WIDTH))[0]


@pytest.mark.parametrize("folder", ["holiday photos", "it's", 'the "best" ones', "$HOME `ls` 猫"])
def test_the_remedy_can_be_pasted_whatever_the_path(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / folder / "a b's.png"
    path.parent.mkdir()
    save(PIXELS, "L")(path)
    monkeypatch.chdir(tmp_path)
    run_in_bash(next_command(path))
    assert read_images([tmp_path / "a b's-fit" / path.name], (HEIGHT, WIDTH)).shape == (1, HEIGHT, WIDTH, 3)
    command = next_command(path.with_name("missing.png")).removeprefix("check the name, ")
    assert run_in_bash(command).splitlines() == ["a b's.png"]
    pattern = next_command(path.parent).removeprefix("name the files in it, ")
    assert run_in_bash(f"ls {pattern}").splitlines() == [str(path)]


def next_command(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_images([path], (HEIGHT, WIDTH))
    return str(caught.value).partition(". Next: ")[2]


def run_in_bash(command: str) -> str:
    """What it prints, where `python` is the one that runs the tests."""
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": folders, "LC_ALL": "C.UTF-8"}
    return subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True, text=True).stdout


BEYOND_REPAIR: dict[str, tuple[Save, str]] = {
    "no image": (lambda path: path.write_text("<html>"), "is not an image that Pillow can read"),
    "empty": (lambda path: path.touch(), "is not an image that Pillow can read"),
    "far too large": (lambda path: png(path, 2, 3, width=10**7), "is far larger than the 24x32"),
    "truncated": (truncated, "is a damaged image"),
    "float": (
        lambda path: Image.fromarray(PIXELS).convert("F").save(path, "TIFF"),
        r"has values of no known range \(mode F\)",
    ),
    "missing": (lambda path: None, "there is no image"),
    "folder": (lambda path: path.mkdir(), "is a folder, not an image"),
    "pipe": (os.mkfifo, "a device or pipe"),
}


@pytest.mark.parametrize(("write", "message"), BEYOND_REPAIR.values(), ids=BEYOND_REPAIR.keys())
def test_what_is_no_image_is_named(tmp_path: Path, write: Save, message: str):
    path = tmp_path / "a.png"
    write(path)
    with pytest.raises(UsageError, match=message) as caught:
        read_images([path], (HEIGHT, WIDTH))
    assert f"'{path}'" in str(caught.value)
    assert "Next: " in str(caught.value)


def test_gray_levels_of_16_bits_are_scaled_by_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    png(tmp_path / "a.png", 0, 1)
    assert np.unique(mended(tmp_path / "a.png", monkeypatch)).tolist() == [0x80]


def test_a_folder_is_mended_as_a_whole_and_of_several_files_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        save(PIXELS, "L")(path)
    monkeypatch.chdir(tmp_path)
    for folder, source, fit in [
        ((), paths[0], "a-fit"),
        ((tmp_path,), tmp_path, f"{tmp_path}-fit"),
        ((Path(),), ".", f"{tmp_path}-fit"),
        ((Path("/"),), "/", "/-fit"),
    ]:
        with pytest.raises(UsageError) as caught:
            read_images(paths, (HEIGHT, WIDTH), *folder)
        assert str(caught.value).endswith(f"Next: pixelproof data fit {source} --size {HEIGHT},{WIDTH} -o {fit}")


def test_the_remedy_turns_an_image_upright_before_it_is_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    half = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    half[: HEIGHT // 2] = 255  # upright, the upper half is white
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(half)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(mended(tmp_path / "a.png", monkeypatch), half)


def test_an_image_that_says_it_is_upright_is_taken(tmp_path: Path):
    turned(1, sideways=False)(tmp_path / "a.png")
    np.testing.assert_array_equal(read_images([tmp_path / "a.png"], (HEIGHT, WIDTH))[0], PIXELS)

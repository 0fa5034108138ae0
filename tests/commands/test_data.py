"""`pixelproof data`: the official archive's stand-in over HTTP, and the sample as image files."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.models.data import sample
from pixelproof.models.data.fetch import SHA256

FILES = {name: name.encode() * 1000 for name in SHA256}


@pytest.fixture
def make_archive(monkeypatch: pytest.MonkeyPatch, tar_gz) -> Callable[..., bytes]:
    """`make_archive(changed files)`: an archive of `FILES`, whose hashes are the expected ones."""
    for name, content in FILES.items():
        monkeypatch.setitem(SHA256, name, hashlib.sha256(content).hexdigest())
    return lambda changed=(): tar_gz(
        *((f"cifar-10-batches-bin/{name}", content) for name, content in (FILES | dict(changed)).items())
    )


def test_fetch_fills_the_user_cache(run_cli, serve, make_archive, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, _ = run_cli("data", "fetch", "--url", serve(make_archive()).url)
    folder = tmp_path / "pixelproof" / "cifar-10-batches-bin"
    assert (code, out) == (0, f"{folder}: complete, the SHA-256 of every file is right\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert list(folder.parent.iterdir()) == [folder]


def test_fetch_says_how_a_folder_of_ones_own_is_found(run_cli, serve, make_archive, tmp_path: Path):
    code, out, err = run_cli("data", "fetch", "--to", tmp_path / "own", "--url", serve(make_archive()).url)
    assert code == 0
    assert out.startswith(str(tmp_path / "own" / "cifar-10-batches-bin"))
    assert f"PIXELPROOF_DATA='{tmp_path / 'own'}'" in err


def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(run_cli, serve, answer, make_archive, tmp_path: Path):
    site = serve(make_archive(), answer(cut=70, goes_on=(goes_on := threading.Event())))
    # a background job, as tests may be, hands down that SIGINT is ignored
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", listen + "from pixelproof.cli import main; main()"]
    arguments = ["data", "fetch", "--to", str(tmp_path), "--url", site.url]
    part = tmp_path / "cifar-10-binary.tar.gz.part"
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not part.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("error: stopped fetching CIFAR-10; what came of the archive is kept")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == [part]
    goes_on.set()
    assert run_cli(*arguments).code == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "cifar-10-batches-bin"]


def test_what_cannot_be_fetched_is_named_and_leaves_nothing(run_cli, serve, make_archive, tmp_path: Path):
    forged = serve(make_archive({"test_batch.bin": b"forged" * 1000})).url
    for code, url, message in (
        (1, forged, "'test_batch.bin' in the archive is damaged: expected SHA-256"),
        (2, "cifar.tar.gz", "'cifar.tar.gz' is no http or https address. Next:"),
    ):
        outcome = run_cli("data", "fetch", "--to", tmp_path, "--url", url)
        assert (outcome.code, outcome.out) == (code, "")
        assert outcome.err.splitlines()[-1].startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_export_writes_every_sample_image_without_loss(run_cli, tmp_path: Path):
    code, out, _ = run_cli("data", "export", tmp_path / "images")
    assert (code, out) == (0, f"{tmp_path / 'images'}: 200 images\n")
    files = sorted((tmp_path / "images").iterdir())
    images = sample()
    assert len(files) == 200
    assert files[7].name == "0007-frog.png"
    for file, image, label in zip(files, images.images, images.labels, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), image)
        assert file.stem.endswith(f"-{images.class_names[label]}")


def test_export_leaves_a_folder_that_exists_alone(refused, tmp_path: Path):
    (tmp_path / "mine").write_text("kept")
    assert f"'{tmp_path}' exists already. Next: pixelproof data export FOLDER" in refused(2, "data", "export", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_fit_makes_a_folder_that_a_bundle_takes(run_cli, tmp_path: Path, lenet_median_bundle: Path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(sample().images[3]).resize((90, 60)).convert("L").save(tmp_path / "photos" / "plane.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("none")
    unfit = run_cli("classify", lenet_median_bundle, tmp_path / "photos" / "plane.jpg")
    assert unfit.code == 2
    assert unfit.err.endswith("-o plane-fit\n")
    code, out, err = run_cli("data", "fit", tmp_path / "photos", "--size", "32,32", "-o", tmp_path / "fit")
    assert (code, out) == (0, f"{tmp_path / 'fit'}: 1 images of 32x32\n")
    assert err == f"left out: '{tmp_path}/photos/notes.txt' is not an image that Pillow can read\n"
    assert run_cli("classify", lenet_median_bundle, tmp_path / "fit" / "plane.png").code == 0


@pytest.mark.parametrize(
    ("size", "message"),
    [("32", r"expected a height and a width"), ("0,32", r"both above 0, got 0,32"), ("32x32", r"two whole numbers")],
)
def test_fit_asks_for_a_height_and_a_width(refused, tmp_path: Path, size: str, message: str):
    assert re.search(message, refused(2, "data", "fit", tmp_path, "--size", size, "-o", tmp_path / "fit"))
    assert list(tmp_path.iterdir()) == []

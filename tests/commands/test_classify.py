"""`pixelproof classify` on image files, fit and unfit."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

MakeBundle = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three CIFAR-10 test images as PNG; the second has a white pixel in row 5, column 9."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, image in zip(paths, sample().images.clip(0, 180)[:3], strict=True):
        if path.stem == "b":
            image[5, 9] = 255
        Image.fromarray(image).save(path)
    return paths


def test_json_holds_what_the_pipeline_says(make_bundle: MakeBundle, photos: list[Path], run_cli):
    bundle = make_bundle(size=(32, 32))
    code, out, err = run_cli("classify", bundle, *photos, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    with Pipeline(bundle) as pipeline:
        result = pipeline(np.stack([np.asarray(Image.open(path)) for path in photos]))
        assert told["manifest_sha256"] == pipeline.manifest_sha256
    assert (told["backend"], told["provider"]) == ("cpu", "CPUExecutionProvider")
    assert told["suspicion_is_detector"] is True
    assert [image["file"] for image in told["images"]] == [str(path) for path in photos]
    assert [image["label"] for image in told["images"]] == result.labels.tolist()
    assert [image["class"] for image in told["images"]] == [["red", "green", "blue"][n] for n in result.labels]
    np.testing.assert_allclose([image["probabilities"] for image in told["images"]], result.probabilities, atol=1e-6)
    np.testing.assert_allclose([image["probability"] for image in told["images"]], result.probabilities.max(axis=1))
    assert [image["suspect"] for image in told["images"]] == [None, {"row": 5, "column": 9}, None]
    assert told["images"][1]["suspicion"] == pytest.approx(55 / 255)


def test_the_table_has_a_line_an_image(make_bundle: MakeBundle, photos: list[Path], run_cli):
    code, out, err = run_cli("classify", make_bundle(size=(32, 32)), *photos)
    header, first, second, third = out.splitlines()
    assert (code, err) == (0, "")
    assert header.split() == ["file", "class", "probability", "suspicion", "suspect", "pixel", "(row,", "column)"]
    assert first.startswith(str(photos[0]))
    assert first.endswith("none")
    assert second.split()[-3:] == ["0.2157", "5,", "9"]
    assert third.endswith("none")


def test_an_autoencoders_suspicion_is_called_no_detector(make_bundle: MakeBundle, photos: list[Path], run_cli):
    bundle = make_bundle(size=(32, 32), purifier="autoencoder")
    assert "no sign of an attack" in run_cli("classify", bundle, *photos).err
    assert json.loads(run_cli("classify", bundle, *photos, "--json").out)["suspicion_is_detector"] is False


def test_a_bare_classifier_has_no_suspicion(make_bundle: MakeBundle, photos: list[Path], run_cli):
    bundle = make_bundle(size=(32, 32), purifier=None)
    assert "suspicion" not in run_cli("classify", bundle, *photos).out
    told = json.loads(run_cli("classify", bundle, *photos, "--json").out)
    assert told["suspicion_is_detector"] is None
    assert told["images"][0]["suspicion"] is None


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no image": (lambda path: path.write_text("hello"), "is not an image"),
    "gray": (lambda path: Image.new("L", (32, 32)).save(path), "is gray (mode L), expected 8-bit RGB of 32x32"),
    "alpha": (lambda path: Image.new("RGBA", (32, 32)).save(path), "has alpha (mode RGBA)"),
    "another size": (lambda path: Image.new("RGB", (64, 48)).save(path), "is 48x64, expected 8-bit RGB of 32x32"),
    "missing": (lambda path: None, "there is no image"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
}


@pytest.mark.parametrize(("write", "message"), UNFIT.values(), ids=UNFIT.keys())
def test_one_unfit_image_among_good_ones_stops_it_all(
    make_bundle: MakeBundle, photos: list[Path], tmp_path: Path, refused, write, message: str
):
    write(tmp_path / "unfit.png")
    assert message in refused(2, "classify", make_bundle(size=(32, 32)), *photos, tmp_path / "unfit.png")


WRONG_COMMANDS = {
    "no such bundle": ((), {}, 1, "there is no bundle"),
    "backend": (("--backend", "npu"), {"size": (32, 32)}, 2, "unknown backend 'npu'"),
    "manifest's hash": (("--manifest-sha256", "0" * 64), {"size": (32, 32)}, 1, "is not the one asked for"),
    "newer bundle": (
        (),
        {"size": (32, 32), "format_version": 2},
        1,
        "in pixelproof's clone, git pull && pip install .",
    ),
}


@pytest.mark.parametrize(("options", "fields", "exit_code", "message"), WRONG_COMMANDS.values(), ids=WRONG_COMMANDS)
def test_a_bundle_that_cannot_be_run_is_one_line(
    make_bundle: MakeBundle, photos: list[Path], tmp_path: Path, refused, options, fields, exit_code: int, message: str
):
    bundle = make_bundle(**fields) if fields else tmp_path / "nowhere"
    assert message in refused(exit_code, "classify", bundle, *photos, *options)

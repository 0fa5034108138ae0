"""The C++ example, compiled and run: what it says of images is what the Python runtime says."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline

SOURCE = Path(__file__).parents[2] / "examples" / "classify.cpp"
LINE = re.compile(r"(.+?): (.+?) (\d\.\d+)(?:, suspicion (\d\.\d+)(?: at row (\d+), column (\d+))?)?")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def classify(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`classify(*arguments)`: the example, run on ONNX Runtime's library from the wheel."""
    runtime = pytest.importorskip("onnxruntime")
    libraries = sorted((Path(runtime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    headers = next((Path(sys.prefix) / "headers").rglob("onnxruntime_cxx_api.h"), None)
    if shutil.which("g++") is None or not libraries:
        pytest.skip("needs g++ and ONNX Runtime's library for Linux")
    if headers is None:
        pytest.skip("ONNX Runtime's C++ headers are not here: make test fetches them")
    folder = tmp_path_factory.mktemp("example")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # as a release names it for linker and loader
        (folder / name).symlink_to(libraries[0])
    link = ["-L", str(folder), f"-Wl,-rpath,{folder}", "-lonnxruntime"]
    options = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-isystem", str(headers.parent)]
    subprocess.run(["g++", *options, str(SOURCE), *link, "-o", str(folder / "classify")], check=True)

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [str(folder / "classify"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def written(folder: Path, images: np.ndarray) -> list[Path]:
    paths = [folder / f"{number}.ppm" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def answers(done: "subprocess.CompletedProcess[str]") -> list[tuple[str | None, ...]]:
    assert done.returncode == 0, done.stderr
    found = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    return [match.groups() for match in found if match is not None]


def test_it_says_what_the_runtime_says(classify: Run, lenet_median_bundle: Path, tmp_path: Path):
    images = sample().images[:20].copy()
    images[::2, 5, 7] = (255, 255, 0)  # an attacked pixel
    told = answers(classify(lenet_median_bundle, *written(tmp_path, images)))
    with Pipeline(lenet_median_bundle) as pipeline:
        expected = pipeline(images)
        names = [pipeline.class_names[label] for label in expected.labels]
    assert [Path(str(path)).stem for path, *_ in told] == [str(number) for number in range(20)]
    assert [name for _, name, *_ in told] == names
    np.testing.assert_allclose([float(str(answer[2])) for answer in told], expected.probabilities.max(1), atol=1e-5)
    np.testing.assert_allclose([float(str(answer[3])) for answer in told], expected.suspicion, atol=1e-5)
    places = [[-1 if place is None else int(place) for place in answer[4:]] for answer in told]
    assert places == expected.suspect.tolist()
    assert [5, 7] in places
    assert [-1, -1] in places


def test_a_bundle_without_purifier_and_names_in_any_script(classify: Run, tmp_path: Path):
    from pixelproof.export import export_bundle
    from pixelproof.models import build_classifier

    names = [f'naïve "{number}"\\ 猫 😀' for number in range(10)]
    bundle = export_bundle(
        build_classifier("lenet"), tmp_path / "bare", purifier="none", size=(32, 32), class_names=names
    )
    images = sample().images[:3]
    with Pipeline(bundle.path) as pipeline:
        labels = pipeline(images).labels
    told = answers(classify(bundle.path, *written(tmp_path, images)))
    assert [answer[1] for answer in told] == [names[label] for label in labels]
    assert all(answer[3:] == (None, None, None) for answer in told)


def test_a_header_with_comments_is_read(classify: Run, lenet_median_bundle: Path, tmp_path: Path):
    (plain,) = written(tmp_path, sample().images[:1])
    commented = tmp_path / "commented.ppm"
    commented.write_bytes(b"P6 # made by hand\n# 32 wide\n32\t32\n255\n" + sample().images[0].tobytes())
    first, second = answers(classify(lenet_median_bundle, plain, commented))
    assert first[1:] == second[1:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P3\n32 32\n255\n", "is no binary PPM"),
        (b"P6\n32 32\n65535\n", "is no binary PPM"),
        (b"P6\n32 -32\n255\n", "is no binary PPM"),
        (b"", "is no binary PPM"),
        (b"P6\n32 32\n255\n" + bytes(3071), "ends before its last pixel"),
        (b"P6\n8 32\n255\n" + bytes(768), "is 32x8; the bundle takes 32x32"),
    ],
)
def test_a_bad_image_is_refused(classify: Run, lenet_median_bundle: Path, tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "bad.ppm"
    path.write_bytes(content)
    done = classify(lenet_median_bundle, path)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert str(path) in done.stderr


def test_a_bundle_without_its_pipeline_is_not_run_bare(classify: Run, lenet_median_bundle: Path, tmp_path: Path):
    shutil.copytree(lenet_median_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "pipeline.onnx").unlink()
    done = classify(tmp_path / "damaged", *written(tmp_path, sample().images[:1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "pipeline.onnx" in done.stderr


def test_what_is_not_there_is_named(classify: Run, lenet_median_bundle: Path, tmp_path: Path):
    done = classify(tmp_path / "nowhere", *written(tmp_path, sample().images[:1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"'{tmp_path / 'nowhere'}' is no bundle" in done.stderr
    assert "Next: pixelproof export" in done.stderr
    done = classify(lenet_median_bundle, tmp_path / "missing.ppm")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot open '{tmp_path / 'missing.ppm'}'" in done.stderr
    done = classify()
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")

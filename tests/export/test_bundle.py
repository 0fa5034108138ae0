"""`export_bundle` end to end: what is written runs, and computes what the networks compute."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pixelproof.errors import ExportError, UsageError, WeightsError
from pixelproof.export import export_bundle
from pixelproof.export.reference import real_images
from pixelproof.models import CIFAR10_CLASSES, build_classifier, build_purifier
from pixelproof.models.weights import save_weights
from pixelproof.runtime import Pipeline, read_bundle

SHAPES, SIZE = ("circle", "square", "triangle"), (96, 64)
PURIFIERS = ("median", "autoencoder", "gated")
MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.3)


def seeded(build: Callable[..., nn.Module], name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(name, trained=False)


def expected(run: Callable[[np.ndarray], np.ndarray], purifier: nn.Module | None, images: np.ndarray) -> dict:
    """What the design says of `images`, from PyTorch, with no code of the export's."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        p = x if purifier is None else purifier(x).clamp(0, 255)
    change = (p - x).abs().amax(dim=1).numpy()
    places = [np.unravel_index(one.argmax(), one.shape) if one.any() else (-1, -1) for one in change]
    return {
        "probabilities": F.softmax(torch.from_numpy(run((p / 255).numpy())), dim=1).numpy(),
        "purified": np.floor(p.permute(0, 2, 3, 1).numpy() + 0.5),
        "suspicion": change.max(axis=(1, 2)) / 255,
        "suspect": np.array(places),
    }


def check(folder: Path, run: Callable[[np.ndarray], np.ndarray], purifier: nn.Module | None, size=(32, 32)) -> None:
    images = real_images(size)
    with Pipeline(folder) as pipeline:
        for batch in (images[:1], images[1:3], images[3:10], images[10:74]):
            wanted, result = expected(run, purifier, batch), pipeline(batch)
            np.testing.assert_allclose(result.probabilities, wanted["probabilities"], atol=1e-5)
            np.testing.assert_array_equal(result.labels, wanted["probabilities"].argmax(axis=1))
            if purifier is None:
                assert result.purified is None
                continue
            assert np.abs(result.purified - wanted["purified"]).max() <= 1
            np.testing.assert_allclose(result.suspicion, wanted["suspicion"], atol=1.1 / 255)
            assert (result.suspect == wanted["suspect"]).all(axis=1).mean() > 0.95  # ties within rounding


def torch_run(module: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(pixels)).numpy()

    return run


def test_lenet_behind_the_gated_purifier(lenet_gated_bundle: Path):
    torch.manual_seed(0)
    classifier, purifier = build_classifier("lenet", trained=False), build_purifier("gated", trained=False)
    check(lenet_gated_bundle, torch_run(classifier), purifier)
    manifest = read_bundle(lenet_gated_bundle).manifest
    assert manifest["purifier"]["suspicion_is_detector"] is True
    assert manifest["class_names"] == list(CIFAR10_CLASSES)
    assert manifest["classifier"] | {"weights_sha256": ""} == {
        "name": "LeNet",
        "source": "module",
        "weights_sha256": "",
        "outputs": "logits",
        "normalisation": None,
    }
    figures = manifest["verification"]
    assert (figures["images"], figures["batches"]) == (200, [1, 2, 7, 190])
    assert figures["provider"] == "CPUExecutionProvider"
    for part in ("pipeline", "classifier"):
        assert figures[part]["same_top1"] == 200
        assert figures[part]["probabilities_max_difference"] <= 1e-5


@pytest.mark.parametrize("name", ["median", "autoencoder", "none"])
def test_lenet_behind_every_other_purifier(name: str, tmp_path: Path):
    classifier = seeded(build_classifier, "lenet")
    purifier = None if name == "none" else build_purifier(name)
    bundle = export_bundle(classifier, tmp_path / "b", purifier=name, size=(32, 32), class_names=CIFAR10_CLASSES)
    check(tmp_path / "b", torch_run(classifier), purifier)
    assert set(bundle.files) == {"classifier.onnx"} | ({"pipeline.onnx"} if purifier else set())
    if purifier is None:
        assert bundle.manifest["purifier"] is None
    else:
        assert bundle.manifest["purifier"]["suspicion_is_detector"] is (name == "median")


@pytest.fixture
def own_network(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network that `shapes_network:build` gives, in the folder that is current."""
    monkeypatch.chdir(own_folder)
    monkeypatch.syspath_prepend(own_folder)
    import shapes_network

    return shapes_network.build().eval()


def test_a_network_of_ones_own_by_module_and_function(own_network: nn.Module, tmp_path: Path):
    purifier = seeded(build_purifier, "gated")
    options = {"size": SIZE, "class_names": SHAPES, "mean": MEAN, "std": STD}
    bundle = export_bundle("shapes_network:build", tmp_path / "b", purifier=purifier, **options)
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (MEAN, STD))
    check(tmp_path / "b", lambda pixels: torch_run(own_network)((pixels - mean) / std), purifier, SIZE)
    assert bundle.image_size == SIZE
    assert bundle.class_names == SHAPES
    assert bundle.manifest["classifier"]["name"] == "shapes_network:build"
    assert bundle.manifest["classifier"]["normalisation"] == {"mean": list(MEAN), "std": list(STD)}


@pytest.mark.parametrize("name", PURIFIERS)
def test_an_onnx_file_of_ones_own_behind_every_purifier(name: str, make_onnx: Callable[..., Path], tmp_path: Path):
    path, purifier = make_onnx(), seeded(build_purifier, name)
    bundle = export_bundle(path, tmp_path / "b", purifier=purifier, class_names=SHAPES)
    session = onnxruntime.InferenceSession(path)
    check(tmp_path / "b", lambda pixels: session.run(None, {"x": pixels})[0], purifier, SIZE)
    assert bundle.image_size == SIZE  # the file tells it
    assert bundle.manifest["classifier"]["name"] == "own.onnx"
    assert bundle.manifest["classifier"]["source"] == "onnx"


def test_a_shipped_network_with_weights_of_ones_own(tmp_path: Path):
    module = seeded(build_classifier, "lenet")
    save_weights(module, tmp_path / "mine.safetensors", {})
    bundle = export_bundle("lenet", tmp_path / "b", purifier="none", weights=tmp_path / "mine.safetensors")
    check(tmp_path / "b", torch_run(module), None)
    recorded = json.loads((tmp_path / "mine.json").read_text())["weights_sha256"]
    assert bundle.manifest["classifier"]["weights_sha256"] == recorded
    assert bundle.manifest["classifier"]["source"] == "module"  # not the shipped weights


def test_a_modules_weights_have_the_hash_of_their_file(lenet_gated_bundle: Path, tmp_path: Path):
    torch.manual_seed(0)
    save_weights(build_classifier("lenet", trained=False), tmp_path / "w.safetensors", {})
    recorded = json.loads((tmp_path / "w.json").read_text())["weights_sha256"]
    assert read_bundle(lenet_gated_bundle).manifest["classifier"]["weights_sha256"] == recorded


def test_the_users_module_stays_as_it_was(tmp_path: Path):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(3 * 8 * 8, 3)).to(torch.float64).train()
    export_bundle(module, tmp_path / "b", purifier="none", size=(8, 8), class_names=SHAPES)
    assert all(part.training for part in module.modules())
    assert all(p.dtype == torch.float64 and p.requires_grad for p in module.parameters())


def test_probabilities_pass_as_they_are(tmp_path: Path):
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3), nn.Softmax(dim=1))
    options = {"purifier": "none", "size": (8, 8), "class_names": SHAPES, "outputs": "probabilities"}
    export_bundle(module, tmp_path / "b", **options)
    images = real_images((8, 8))
    with Pipeline(tmp_path / "b") as pipeline:
        wanted = torch_run(module)((images.transpose(0, 3, 1, 2) / 255).astype(np.float32))
        np.testing.assert_allclose(pipeline.predict(images), wanted, atol=1e-6)


class Cap(nn.Module):
    """Takes every value above 200 down to 200."""

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        return levels.clamp(max=200)


def test_the_first_of_the_most_changed_pixels_is_the_suspect(tmp_path: Path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 9, 3))
    export_bundle(module, tmp_path / "b", purifier=Cap(), size=(6, 9), class_names=SHAPES)
    images = np.full((3, 6, 9, 3), 100, np.uint8)
    images[0, 4, 7, 2] = images[0, 5, 0, 0] = 255  # a tie
    images[1, 5, 8] = (201, 240, 255)
    images[1, 0, 0] = 254
    with Pipeline(tmp_path / "b") as pipeline:
        result = pipeline(images)
    assert result.suspect.tolist() == [[4, 7], [5, 8], [-1, -1]]
    np.testing.assert_allclose(result.suspicion, [55 / 255, 55 / 255, 0], atol=1e-7)
    np.testing.assert_array_equal(result.purified, images.clip(0, 200))


def test_the_same_export_in_two_processes_gives_the_same_onnx_bytes(lenet_gated_bundle: Path, tmp_path: Path):
    code = (
        "import sys, torch\n"
        "from pixelproof.export import export_bundle\n"
        "from pixelproof.models import CIFAR10_CLASSES, build_classifier, build_purifier\n"
        "torch.manual_seed(0)\n"
        "classifier, purifier = build_classifier('lenet', trained=False), build_purifier('gated', trained=False)\n"
        "export_bundle(classifier, sys.argv[1], purifier=purifier, size=(32, 32), class_names=CIFAR10_CLASSES)\n"
        "assert 'onnxruntime' in sys.modules"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", code, "again"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    (warning,) = done.stderr.splitlines()  # the exporter's own messages are kept off the terminal
    assert warning.startswith("the classifier is right on 11.0 % of 200 clean images of 10 classes, which chance may")
    for name in ("classifier.onnx", "pipeline.onnx"):
        assert (tmp_path / "again" / name).read_bytes() == (lenet_gated_bundle / name).read_bytes()


def test_no_path_of_this_machine_is_in_any_file(
    lenet_gated_bundle: Path, make_onnx: Callable[..., Path], tmp_path: Path
):
    export_bundle(make_onnx(), tmp_path / "own-median", purifier="median", class_names=SHAPES)
    local = [Path.cwd(), Path.home(), Path(torch.__file__).parents[1], Path(sys.prefix), lenet_gated_bundle.parent]
    local += [tmp_path, Path(__file__).parents[2].resolve(), Path("/home/somebody")]
    for folder in (lenet_gated_bundle, tmp_path / "own-median"):
        for file in folder.iterdir():
            content = file.read_bytes()
            assert not [path for path in local if str(path).encode() in content], file


SQUARE = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
"""A classifier of 8x8 images and three classes."""


class Pair(nn.Module):
    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return pixels, pixels


class FirstTwo(nn.Module):
    """Bakes the batch in: it takes the example's two images for all there are."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([pixels[0:1], pixels[1:2]]).flatten(1)[:, :3] if len(pixels) == 2 else pixels.flatten(1)[:, :3]


class Drawn(nn.Module):
    """Never the same answer twice."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return F.dropout(pixels.flatten(1)[:, :3], 0.5, training=True)


class Noisy(nn.Module):
    """Nearly the same answer each time."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1)[:, :3] * 9 + 1e-3 * torch.rand(1, 3)


class InHalf(nn.Module):
    """Gives float16, which a bundle's graph does not."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1)[:, :3].half()


class Squeezed(nn.Module):
    """Drops the batch's axis where there is one image."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(1)[:, :3].squeeze()


class OfItsBatch(nn.Module):
    """What it says of an image depends on the others."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        values = pixels.flatten(1)[:, :3]
        return (values - values.mean(0)) * 9


class Gray(nn.Module):
    """A purifier that drops two of the channels."""

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        return levels[:, :1]


class Lost(nn.Module):
    """A purifier that divides by nothing."""

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        return levels / (levels - levels)


SIGMOID = nn.Sequential(SQUARE, nn.Sigmoid())
ONE = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1))
SOFTMAX = nn.Sequential(SQUARE, nn.Softmax(dim=1))
NAN = nn.Sequential(SQUARE, nn.Threshold(1e9, float("nan")))
UNFIT = {
    "unknown classifier": ({"classifier": "resnett"}, UsageError, ["did you mean 'resnet'", "lenet", "Next:"]),
    "unknown purifier": ({"purifier": "gatet"}, UsageError, ["did you mean 'gated'", "none", "--purifier"]),
    "unknown outputs": ({"outputs": "logit"}, UsageError, ["did you mean 'logits'", "--outputs"]),
    "no size": ({"size": None}, UsageError, ["--size H,W"]),
    "no classes": ({"class_names": None}, UsageError, ["--classes FILE"]),
    "size of one number": ({"size": (8,)}, UsageError, ["height and a width", "got 8"]),
    "size of nothing": ({"size": (0, 8)}, UsageError, ["above 0", "got 0,8"]),
    "another size": ({"size": (9, 8)}, UsageError, ["does not run on float32", "9, 8", "--size"]),
    "too few classes": ({"class_names": ["a", "b"]}, UsageError, ["3 classes", "2 are named", "3 lines"]),
    "classes as one text": ({"class_names": "abc"}, UsageError, ["list of class names", "'abc'"]),
    "an empty class name": ({"class_names": ["a", "", "c"]}, UsageError, ["class name 2 of 3"]),
    "an unprintable class name": ({"class_names": ["a", "b\x1b[2J", "c"]}, UsageError, ["class name 2 of 3"]),
    "the same class twice": ({"class_names": ["a", "b", "a"]}, UsageError, ["classes 1 and 3", "'a'"]),
    "mean without std": ({"mean": MEAN}, UsageError, ["std is missing", "--std"]),
    "mean of 0..255": ({"mean": (125, 123, 114), "std": (63, 62, 66)}, UsageError, ["0..1 scale", "divide"]),
    "std of zero": ({"mean": MEAN, "std": (0.2, 0, 0.2)}, UsageError, ["--std", "above 0", "0.2,0,0.2"]),
    "mean of two channels": ({"mean": (0.5, 0.5), "std": STD}, UsageError, ["three numbers", "0.5,0.5"]),
    "mean that is no number": ({"mean": (0.5, float("nan"), 0.5), "std": STD}, UsageError, ["three numbers"]),
    "two outputs": ({"classifier": Pair()}, UsageError, ["'Pair'", "one tensor", "tuple"]),
    "images for outputs": ({"classifier": nn.Identity()}, UsageError, ["(1, classes)", "(1, 3, 8, 8)"]),
    "values that are not finite": ({"classifier": NAN}, UsageError, ["not finite"]),
    "probabilities for logits": ({"classifier": SOFTMAX}, UsageError, ["should give logits", "--outputs prob"]),
    "logits for probabilities": ({"outputs": "probabilities"}, UsageError, ["should give prob", "--outputs logits"]),
    "sigmoids for probabilities": (
        {"classifier": SIGMOID, "outputs": "probabilities"},
        UsageError,
        ["its outputs are sigmoids", "the logits before them"],
    ),
    "one output": ({"classifier": ONE, "class_names": ["a", "b"]}, UsageError, ["one value an image", "[-z, z]"]),
    "one class": ({"classifier": ONE, "class_names": ["a"]}, UsageError, ["two classes or more", "'a' alone"]),
    "classes as numbers": ({"class_names": [1, 2, 3]}, UsageError, ["class name 1 of 3 is 1, no text"]),
    "size as a number": ({"size": 8}, UsageError, ["height and a width", "got 8"]),
    "mean as a number": ({"mean": 0.5, "std": 0.5}, UsageError, ["three numbers", "got 0.5"]),
    "answers by a little chance": (
        {"classifier": Noisy()},
        ExportError,
        ["probabilities by up to", "(1e-05 is allowed)", "same answer each time: no dropout"],
    ),
    "float16 outputs": (
        {"classifier": InHalf()},
        UsageError,
        ["'InHalf' has to give float32, got float16", ".float()"],
    ),
    "batch of one squeezed": ({"classifier": Squeezed()}, UsageError, ["(1, classes) for 1 images, got (3,)"]),
    "of its batch": ({"classifier": OfItsBatch()}, ExportError, ["not depend on the others in its batch"]),
    "purifier of another shape": ({"purifier": Gray()}, UsageError, ["float32 (200, 3, 8, 8), got float32 (200, 1, 8"]),
    "purifier of no number": ({"purifier": Lost()}, UsageError, ["'Lost' gives values that are not finite"]),
    "batch baked in": ({"classifier": FirstTwo()}, ExportError, ["'FirstTwo'", "batches of any size", "Next:"]),
    "answers by chance": ({"classifier": Drawn()}, ExportError, ["classifier.onnx", "differ", "same answer each time"]),
    "too small to purify": ({"purifier": "median", "size": (1, 1)}, UsageError, ["'median'", "1x1"]),
    "missing weights": ({"weights": "none.safetensors"}, WeightsError, ["no weights file", "none.safetensors"]),
    "pickled weights": ({"weights": "net.pt"}, UsageError, ["pickle", "safetensors", "python -c"]),
    "normalizing twice": (
        {"classifier": "lenet", "weights": "lenet.safetensors", "mean": MEAN, "std": STD, "size": None},
        UsageError,
        ["'lenet' normalizes inside"],
    ),
    "another size of a shipped one": (
        {"classifier": "lenet", "weights": "lenet.safetensors", "size": (64, 64)},
        UsageError,
        ["32x32", "64x64"],
    ),
    "weights of another network": ({"weights": "lenet.safetensors"}, WeightsError, ["do not fit Sequential"]),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_is_unfit_is_named_and_leaves_nothing(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    changes, kind, mentions = UNFIT[case]
    monkeypatch.chdir(tmp_path)
    save_weights(seeded(build_classifier, "lenet"), tmp_path / "lenet.safetensors", {})
    (tmp_path / "net.pt").write_bytes(b"\x80\x04.")
    before = sorted(tmp_path.rglob("*"))
    options = {"classifier": SQUARE, "purifier": "none", "size": (8, 8), "class_names": SHAPES} | changes
    if changes.get("size") == (1, 1):
        options["classifier"] = nn.Sequential(nn.Flatten(), nn.Linear(3, 3))
    with pytest.raises(kind) as raised:
        export_bundle(output=tmp_path / "bundle", **options)
    message = str(raised.value)
    assert all(mention in message for mention in [*mentions, "Next:"]), message
    assert "\n" not in message
    assert sorted(tmp_path.rglob("*")) == before


def test_the_metadata_says_what_is_inside(lenet_gated_bundle: Path):
    manifest = read_bundle(lenet_gated_bundle).manifest
    fused = {p.key: p.value for p in onnx.load(lenet_gated_bundle / "pipeline.onnx").metadata_props}
    assert json.loads(fused["class_names"]) == manifest["class_names"]
    assert json.loads(fused["classifier"]) == manifest["classifier"]
    assert json.loads(fused["purifier"])["weights_sha256"] == manifest["purifier"]["weights_sha256"]
    assert json.loads(fused["versions"]) == manifest["versions"]
    bare = {p.key: p.value for p in onnx.load(lenet_gated_bundle / "classifier.onnx").metadata_props}
    assert bare["purifier"] == "null"

"""`pixelproof export` and `export-triton` as they are typed."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
import torch
from PIL import Image
from tensorrt_stand_in import add_engine

from pixelproof.errors import ExportError
from pixelproof.export import bundle_writer, export_bundle, verification
from pixelproof.export.own_images import labeled_images
from pixelproof.export.precision import quantized
from pixelproof.models import CIFAR10_CLASSES, weights_path
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline, read_bundle

OWN = """
<ir_version: 10, opset_import: ["": 20]>
own (float[N,3,8,8] x) => (float[N,3] y)
<int64[2] sides = {2, 3}, float[3,3] factors = {4, 0, -4, 0, 2, 0, -1, 0, 1}>
{
    means = ReduceMean<keepdims=0>(x, sides)
    y = MatMul(means, factors)
}
"""


CONVOLVED = """
<ir_version: 10, opset_import: ["": 20]>
convolved (float[N,3,8,8] x) => (float[N,3] y)
<int64[2] sides = {2, 3}, float[3,3,1,1] factors = {4, 0, -4, 0, 2, 0, -1, 0, 1}>
{
    mixed = Conv(x, factors)
    y = ReduceMean<keepdims=0>(mixed, sides)
}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `own.onnx`, a classifier of 8x8 images, and `classes.txt`."""
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(OWN), tmp_path / "own.onnx")
    (tmp_path / "classes.txt").write_text("red\ngreen\nblue\n")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_shipped_network_goes_where_its_name_says(run_cli, lenet_median_bundle: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_cli("export", "lenet", "--purifier", "median", "--json")
    told = json.loads(out)
    bundle = read_bundle(Path("lenet-median"))
    assert (code, told["bundle"]) == (0, "lenet-median")
    assert (told["manifest_sha256"], told["manifest"]) == (bundle.manifest_sha256, bundle.manifest)
    assert bundle.class_names == CIFAR10_CLASSES
    assert names(tmp_path) == ["lenet-median"]
    for name in ("classifier.onnx", "pipeline.onnx"):
        assert bundle.files[name] == (lenet_median_bundle / name).read_bytes()


def test_a_file_of_ones_own_is_exported_with_its_options_and_says_how_it_was_verified(own: Path, run_cli):
    code, out, err = run_cli(
        *("export", "own.onnx", "--purifier", "none", "--classes", "classes.txt", "-o", "new/own"),
        *("--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.3"),
    )
    bundle = read_bundle(Path("new/own"))
    assert (code, err) == (0, "")
    files, verified, sha256 = out.splitlines()
    assert files == "new/own: classifier.onnx"
    assert verified.startswith("verified on 200 real images, CPUExecutionProvider: same class on each; largest diff")
    assert sha256 == f"manifest SHA-256: {bundle.manifest_sha256}"
    assert bundle.class_names == ("red", "green", "blue")
    assert bundle.manifest["classifier"]["normalisation"] == {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
    with Pipeline("new/own") as pipeline:
        assert pipeline.image_size == (8, 8)


def test_ones_own_purifier_is_exported_verified_and_attacked(own: Path, run_cli, monkeypatch, caplog):
    (own / "own_purifier.py").write_text(
        "import torch\n\n\nclass Dim(torch.nn.Module):\n    def forward(self, levels):\n        return levels * 0.75\n"
    )
    monkeypatch.syspath_prepend(own)
    code, out, err = run_cli("export", "lenet", "--purifier", "own_purifier:Dim")
    assert code == 0, err
    assert out.startswith("lenet-own_purifier-Dim: ")
    made_of = read_bundle(Path("lenet-own_purifier-Dim")).manifest["purifier"]
    assert made_of["name"] == "own_purifier:Dim"
    pictures = sample().images[:4]
    with Pipeline("lenet-own_purifier-Dim") as pipeline:
        np.testing.assert_array_equal(pipeline(pictures).purified, np.floor(pictures * 0.75 + 0.5).astype(np.uint8))
    assert "changes what the classifier says" not in caplog.text
    asked = ("bench", "defense", "lenet-own_purifier-Dim", "--sample", "--images", "2", "--json")
    told = run_cli(*asked)
    (row,) = json.loads(told.out)["rows"]
    assert row["passed_colours"] is False
    assert "Next: --own-code (in Python, own_code=True)" in caplog.text
    again = ("attack", "lenet-own_purifier-Dim", "--sample", "--images", "1", "--protocol", "adaptive", "--json")
    for command in (asked, again):
        caplog.clear()
        assert run_cli(*command, "--own-code").code == 0  # which builds it anew, and asks in vain
        assert "Next: give it a method `accepted_colors`" in caplog.text
    assert (row["purifier"], row["adaptive_success"]["n"]) == ("own_purifier:Dim", 2)


REFUSED = {
    "classifier": (["lenett"], 2, "'lenett'; did you mean 'lenet'? there are: densenet, lenet, nin,"),
    "purifier": (["lenet", "--purifier", "mediann"], 2, "unknown purifier 'mediann'; did you mean 'median'?"),
    "no such file": (["none.onnx"], 2, "there is no ONNX file 'none.onnx'"),
    "no such module": (["nowhere:build"], 2, "there is no module 'nowhere'"),
    "damaged file": (["cut.onnx"], 2, "'cut.onnx' is not an ONNX file, or is damaged"),
    "weights of another network": (["lenet", "--weights", weights_path("resnet")], 1, "do not fit LeNet"),
    "truncated weights": (["lenet", "--weights", "cut.safetensors"], 1, "'cut.safetensors' is damaged"),
    "pickled weights": (["lenet", "--weights", "cut.pt"], 2, "'cut.pt' is a pickle"),
    "missing weights": (["lenet", "--weights", "none.safetensors"], 1, "there is no weights file 'none.safetensors'"),
    "size": (["own.onnx", "--size", "8x8"], 2, "--size takes two whole numbers, H,W, got '8x8'"),
    "another size": (["own.onnx", "--size", "9,8", "--classes", "classes.txt"], 2, "takes images of 8x8"),
    "mean": (["own.onnx", "--mean", "half"], 2, "--mean takes three numbers, R,G,B, got 'half'"),
    "no classes": (["own.onnx"], 2, "the names of the classifier's classes are not known"),
    "classes": (["own.onnx", "--classes", "none.txt"], 2, "there is no file of class names 'none.txt'"),
    "classes in no encoding": (["own.onnx", "--classes", "cut.pt"], 2, "'cut.pt' is not a text file in UTF-8"),
    "existing": (["own.onnx", "--classes", "classes.txt", "-o", "classes.txt"], 2, "'classes.txt' exists already"),
    "in a file": (["own.onnx", "-o", "classes.txt/b"], 2, "'classes.txt' is a file, and 'classes.txt/b' would lie in"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(arguments, code: int, message: str, own, refused):
    (own / "cut.onnx").write_bytes((own / "own.onnx").read_bytes()[:50])
    shipped = weights_path("lenet")
    assert shipped is not None
    (own / "cut.safetensors").write_bytes(shipped.read_bytes()[:5000])
    (own / "cut.pt").write_bytes(b"\x80\x04\xff")
    before = names(own)
    purifier = [] if "--purifier" in arguments else ["--purifier", "none"]
    assert message in refused(code, "export", *arguments, *purifier)
    assert names(own) == before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard in a run in the background too, where shells have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_what_a_ctrl_c_was_answered_by_is_none(own: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever stops a training by it, and then exports what there is, is told of faults as ever."""
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: int("no number"))
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(ExportError, match="PyTorch cannot export classifier 'lenet'"):
            export_bundle("lenet", "bundle", purifier="none")


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_that_pytorch_makes_another_error_of_is_still_one(own: Path, run_cli, monkeypatch: pytest.MonkeyPatch):
    """As one does that comes while PyTorch imports a module, which then lacks what it asks for."""

    def export(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            _ = torch.what_is_not_there

    monkeypatch.setattr(torch.onnx, "export", export)
    code, out, err = run_cli("export", "lenet", "--purifier", "none", "-o", "bundle")
    assert (code, out, err) == (130, "", "error: interrupted\n")
    assert not Path("bundle").exists()


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_nothing(own: Path, run_cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bundle_writer, "verify", lambda *_: signal.raise_signal(signal.SIGINT))
    before = names(own)
    code, out, err = run_cli("export", "own.onnx", "--purifier", "none", "--classes", "classes.txt", "-o", "bundle")
    assert (code, out, err) == (130, "", "error: interrupted\n")
    assert names(own) == before


def test_what_it_does_on_clean_images_is_told(run_cli, tmp_path: Path):
    out = run_cli("export", "lenet", "--purifier", "median", "-o", tmp_path / "bundle").out
    told = read_bundle(tmp_path / "bundle").manifest["clean"]
    assert 0.6 < told["accuracy"] < 0.9
    accuracies = f"accuracy {told['accuracy']:.2%}, purified {told['pipeline_accuracy']:.2%}"
    changed = f"{told['decisions_changed']:.2%} of the decisions changed (200 clean images, CIFAR-10's test set)"
    assert out.splitlines()[2] == f"{accuracies}, {changed}"


def test_engines_that_go_with_a_replaced_bundle_are_named(own: Path, run_cli, caplog):
    asked = ("export", "own.onnx", "--purifier", "none", "--classes", "classes.txt", "-o", "bundle")
    assert run_cli(*asked).code == 0
    add_engine(own / "bundle", name="classifier.tensorrt.9.0.engine", content=b"engine")
    assert run_cli(*asked, "--force").code == 0
    assert "went with it: classifier.tensorrt.9.0.engine. Next: pixelproof build-engine bundle --flavor" in caplog.text
    caplog.clear()
    assert run_cli(*asked, "--force").code == 0
    assert caplog.text == ""


def paint(folder: Path, count: int) -> None:
    """So many images of each class of `own.onnx`, which adds up its channels."""
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True)
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[..., channel] = 255
        for number in range(count):
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_a_classifier_that_chance_may_equal_is_noticed(own: Path, run_cli, caplog):
    """With the names in its order it is right, in another order always wrong."""
    paint(own / "mine", 10)
    paint(own / "few", 1)
    (own / "other.txt").write_text("green\nblue\nred\n")
    asked = ("export", "own.onnx", "--purifier", "none")
    code, out, err = run_cli(*asked, "--data", "mine", "--classes", "classes.txt", "-o", "right")
    assert (code, err) == (0, "")
    assert "accuracy 100.00% (30 clean images, given to the export)" in out
    assert run_cli(*asked, "--data", "few", "--classes", "classes.txt", "-o", "of_few").code == 0
    assert caplog.text == ""  # one image a class: chance may do that too, and nothing speaks for it
    assert run_cli(*asked, "--data", "mine", "--classes", "other.txt", "-o", "wrong").code == 0
    assert "is right on 0.0 % of 30 clean images of 3 classes, which chance may be too. Next: check that" in caplog.text


def test_a_purifier_on_the_wrong_scale_is_noticed(own: Path, run_cli, monkeypatch, caplog):
    (own / "wrong_scale.py").write_text(
        "import torch\n\n\nclass Unit(torch.nn.Module):\n    def forward(self, levels):\n        return levels / 255\n"
    )
    monkeypatch.syspath_prepend(own)
    assert run_cli("export", "lenet", "--purifier", "wrong_scale:Unit", "-o", "bundle").code == 0
    assert "the purifier changes what the classifier says of" in caplog.text
    changed = read_bundle(Path("bundle")).manifest["clean"]["decisions_changed"]
    with Pipeline("bundle") as whole, Pipeline("bundle", part="classifier") as bare:
        images = sample().images
        assert changed == (whole.predict(images).argmax(1) != bare.predict(images).argmax(1)).mean() > 0.5


def test_a_bundle_that_does_not_compute_the_same_is_not_handed_over(own: Path, refused, monkeypatch):
    monkeypatch.setattr(verification, "PROBABILITY_TOLERANCE", -1.0)
    before = names(own)
    line = refused(1, "export", "own.onnx", "--purifier", "none", "--classes", "classes.txt", "-o", "bundle")
    assert "classifier.onnx does not compute what the original networks do" in line
    assert names(own) == before


def test_a_lower_precision_tells_what_became_of_the_decisions(run_cli, tmp_path: Path):
    code, out, _ = run_cli(
        "export", "lenet", "--precision", "int8", "--max-accuracy-drop", "1.5", "-o", tmp_path / "bundle"
    )
    assert code == 0
    assert "int8 classifier: " in out
    assert "of 200 decisions as in fp32; accuracy" in out
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["precision"] == "int8"


@pytest.fixture
def pictures(own: Path) -> Path:
    """Twelve plain 8x8 pictures in `pictures/red`, `green` and `blue`, and `own.onnx` with a convolution."""
    onnx.save(onnx.parser.parse_model(CONVOLVED), own / "own.onnx")
    for channel, name in enumerate(("red", "green", "blue")):
        (own / "pictures" / name).mkdir(parents=True)
        for number in range(4):
            picture = np.zeros((8, 8, 3), np.uint8)
            picture[..., channel] = 100 + 50 * number
            Image.fromarray(picture).save(own / "pictures" / name / f"{number}.png")
    return own / "pictures"


def test_ones_own_images_calibrate_and_judge_in_the_size_that_an_onnx_file_fixes(pictures: Path, run_cli):
    asked = ("export", "own.onnx", "--classes", "classes.txt", "--precision", "int8", "--max-accuracy-drop", "100")
    code, out, err = run_cli(*asked, "--calibration", pictures / "red", "--data", pictures, "-o", "bundle")
    assert code == 0, err
    manifest = read_bundle(Path("bundle")).manifest
    assert manifest["calibration"]["source"] == "4 images of folder 'red'"
    assert manifest["calibration"]["images"] == 4
    assert manifest["decisions"]["classifier"]["images"] == 12
    with Pipeline("bundle", part="classifier") as bare:
        data = labeled_images(pictures, ("red", "green", "blue"), (8, 8)).images
        right = float((bare.predict(data.images).argmax(1) == data.labels).mean())
    assert manifest["decisions"]["classifier"]["accuracy"] == right
    assert f"of 12 decisions as in fp32; accuracy {right:.2%}" in out
    assert set(manifest["purification"]) == {"clean_images", "pl", "pl_fp32"}


def test_without_ones_own_images_it_says_whose_were_taken(pictures: Path, run_cli):
    asked = ("export", "own.onnx", "--classes", "classes.txt", "--precision", "int8", "--max-accuracy-drop", "100")
    code, out, err = run_cli(*asked, "-o", "bundle")
    assert code == 0, err
    assert "of 200 decisions as in fp32, on CIFAR-10's images, " in out
    assert " classes predicted (on yours: --data FOLDER)" in out


@pytest.mark.parametrize("size", ["64", "8,8,3"])
def test_a_size_of_other_than_two_numbers_is_refused_beside_calibration_too(size: str, pictures: Path, refused):
    asked = ("export", "own.onnx", "--classes", "classes.txt", "--precision", "int8", "--size", size)
    assert "size" in refused(2, *asked, "--calibration", pictures / "red", "-o", "bundle")


def test_unfit_calibration_is_one_line(refused, tmp_path: Path):
    asked = ("export", "lenet", "--precision", "int8", "-o", tmp_path / "bundle", "--calibration")
    assert "there is no folder of images" in refused(2, *asked, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused(2, *asked, tmp_path / "empty")
    (tmp_path / "empty" / "note.txt").write_text("no image")
    assert "is not an image" in refused(2, *asked, tmp_path / "empty")
    assert not (tmp_path / "bundle").exists()


@pytest.fixture
def loud(own: Path) -> None:
    """A network of large images that prints what it is shown."""
    (own / "loud.py").write_text(LOUD)


LOUD = """
import torch
from torch import nn


class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, pixels):
        print("shown", tuple(pixels.shape))
        return self.body(pixels) @ torch.eye(4)[:, :3]


def build():
    torch.manual_seed(3)
    return Loud()
"""


def test_ones_own_calibration_images_are_all_shown_however_large(loud: None, own: Path, run_cli):
    (own / "many").mkdir()
    for number in range(30):  # twenty of this size would be taken of the shipped ones
        Image.fromarray(np.full((224, 224, 3), 8 * number, np.uint8)).save(own / "many" / f"{number}.png")
    asked = ("export", "loud:build", "--size", "224,224", "--classes", "classes.txt", "--precision", "int8")
    code, out, err = run_cli(*asked, "--max-accuracy-drop", "100", "--calibration", "many", "-o", "bundle", "--json")
    assert code == 0, err
    assert json.loads(out)  # what the network printed is on stderr
    assert "shown (1, 3, 224, 224)" in err
    assert read_bundle(Path("bundle")).manifest["calibration"]["images"] == 30


def test_data_of_which_nothing_is_right_judges_no_precision(pictures: Path, refused):
    Path("turned.txt").write_text("green\nblue\nred\n")
    asked = ("export", "own.onnx", "--classes", "turned.txt", "--precision", "int8", "--data", pictures, "-o", "bundle")
    assert "gets right none of 12 images" in refused(2, *asked, "--max-accuracy-drop", "100")


def test_an_onnx_file_that_is_in_int8_already_is_told_so(pictures: Path, refused):
    model = quantized(onnx.load("own.onnx"), np.zeros((2, 3, 8, 8), np.float32), target="cpu", what="it")
    onnx.save(model, "q.onnx")
    asked = ("export", "q.onnx", "--classes", "classes.txt", "--precision", "int8", "-o", "bundle")
    assert "has 8-bit layers already. Next: leave out --precision" in refused(2, *asked)


def test_class_names_are_lines_without_the_space_around_them(own: Path, run_cli):
    Path("spaced.txt").write_text("  red \n\tgreen\nblue  \n")
    code, _, err = run_cli("export", "own.onnx", "--classes", "spaced.txt", "--purifier", "none", "-o", "bundle")
    assert code == 0, err
    assert read_bundle(Path("bundle")).manifest["class_names"] == ["red", "green", "blue"]


def test_export_triton_says_how_to_serve_what_it_wrote(lenet_median_bundle: Path, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_cli("export-triton", lenet_median_bundle)
    assert code == 0
    assert "triton-models: lenet-median/1/model.onnx, lenet-median/config.pbtxt, lenet-median/labels.txt" in out
    assert "tritonserver --model-repository triton-models" in out


def test_what_it_says_is_of_the_model_that_was_added(make_bundle, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert run_cli("export-triton", make_bundle("first")).code == 0
    code, out, _ = run_cli("export-triton", make_bundle("second"))
    assert code == 0
    assert "triton-models: second/1/model.onnx, second/config.pbtxt, second/labels.txt\n" in out


def test_bad_requests_of_export_triton_are_one_line(lenet_median_bundle: Path, refused, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("theirs")
    assert "there is no bundle 'none'" in refused(1, "export-triton", "none")
    assert "'file' is a file" in refused(2, "export-triton", lenet_median_bundle, "-o", "file", "--force")
    assert (tmp_path / "file").read_text() == "theirs"
    assert "has no engine 'fast'" in refused(2, "export-triton", lenet_median_bundle, "--engine", "fast")

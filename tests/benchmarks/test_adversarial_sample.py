"""The shipped adversarial images: found by attacking the shipped classifiers, and kept with the weights they fool."""

import json
import re
import shutil
from pathlib import Path

import pytest

from pixelproof.attack.evaluation import DataChoice
from pixelproof.benchmarks import adversarial_sample as command
from pixelproof.errors import PixelproofError, UsageError
from pixelproof.models import CLASSIFIERS, build_classifier, provenance
from pixelproof.models.data import adversarial_sample, sample
from pixelproof.models.data.adversarial import is_attacked
from pixelproof.models.data.sample import SAMPLE_FOLDER


def shipped_digest(name: str) -> str:
    digest: str = provenance(name)["weights_sha256"]
    return digest


def test_what_is_found_is_kept_beside_the_others_and_fools_the_classifier(tmp_path: Path):
    torch = pytest.importorskip("torch", reason="exports a shipped network")
    folder = tmp_path / "sample"
    shutil.copytree(SAMPLE_FOLDER, folder)
    kept = json.loads((folder / "adversarial.json").read_text())
    kept["nin"] = {"weights_sha256": "0" * 64, "method": "corners, one pixel", "changes": [[0, 1, 2, 3, 4, 5]]}
    kept["lenet"] = {**kept["lenet"], "changes": []}
    (folder / "adversarial.json").write_text(json.dumps(kept))
    choice = DataChoice(sample().take(range(3)), "the first three")
    found = command.find("lenet", choice, tmp_path / "records", folder=folder, cascade="int8")
    attacked = adversarial_sample("lenet", shipped_digest("lenet"), folder)
    assert attacked is not None
    assert 0 < found == len(attacked)
    with torch.no_grad():
        seen = build_classifier("lenet")(torch.from_numpy(attacked.images).permute(0, 3, 1, 2) / 255).argmax(1)
    assert (seen.numpy() != attacked.labels).all()
    written = json.loads((folder / "adversarial.json").read_text())
    assert written["nin"] == kept["nin"]
    assert written["lenet"]["method"] == "corners, one pixel, screened in int8"
    assert is_attacked("lenet", shipped_digest("lenet"), folder=folder)


def test_the_first_images_alone_count_as_no_more(tmp_path: Path):
    pytest.importorskip("torch", reason="exports a shipped network")
    folder = tmp_path / "sample"
    shutil.copytree(SAMPLE_FOLDER, folder)
    choice = DataChoice(sample().take(range(9)), "the first nine")
    found = command.find("lenet", choice, tmp_path / "records", folder=folder, cascade="int8", images=5)
    assert 2 < found <= 5
    known = [is_attacked("lenet", shipped_digest("lenet"), images, folder) for images in (2, 5, 6, None)]
    assert known == [True, True, False, False]
    with pytest.raises(UsageError, match=r"0 images are none to attack\. Next: --images 50"):
        command.attack_all(["lenet"], "cpu", tmp_path, images=0)
    assert not is_attacked("lenet", "0" * 64, 2, folder)


def test_those_of_the_present_weights_are_left_alone(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(command, "is_attacked", lambda name, digest, images: digest == shipped_digest(name))
    monkeypatch.setattr(command, "find", lambda *_: pytest.fail("attacked again"))
    command.attack_all(CLASSIFIERS, "auto", tmp_path)


def test_the_others_are_attacked_on_the_device_asked_for_each_with_its_own_records(
    monkeypatch, run_cli, tmp_path: Path
):
    asked = []
    monkeypatch.setattr(command, "is_attacked", lambda name, digest, images: False)

    def find(name, choice, records, backend, *, cascade, images):
        asked.append((name, records, backend, cascade, images))
        return 7

    monkeypatch.setattr(command, "find", find)
    line = ["data", "adversarial"]
    _, _, err = run_cli(*line, "resnet", "nin", "--attack-backend", "cuda", "--records", tmp_path)
    files = {name: tmp_path / f"{name}-{shipped_digest(name)[:12]}" for name in CLASSIFIERS}
    assert asked == [(name, files[name], "cuda", None, None) for name in ("resnet", "nin")]
    assert "nin: 7 adversarial images" in err
    run_cli(*line, "--cascade", "bf16", "--images", "5")
    assert [(name, *how) for name, _, _, *how in asked[2:]] == [(name, "bf16", 5) for name in CLASSIFIERS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnett", r"unknown classifier 'resnett'; did you mean 'resnet'\?.*Next: .*data adversarial lenet"),
        ("lenet --attack-backend gpu", r"unknown attack backend 'gpu'"),
        ("lenet --attack-backend cuda", r"no GPU here\. Next: --attack-backend cpu"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(monkeypatch, run_cli, tmp_path, arguments, message):
    pytest.importorskip("torch", reason="exports a shipped network")

    def no_device() -> None:
        raise PixelproofError("no GPU here. Next: --attack-backend cpu")

    monkeypatch.setattr(command, "is_attacked", lambda name, digest, images: False)
    monkeypatch.setattr("pixelproof.attack.cuda.open_device", no_device)
    code, _, err = run_cli("data", "adversarial", *arguments.split(), "--records", tmp_path)
    assert code
    assert re.match(f"error: {message}", err)
    assert list(tmp_path.iterdir()) == []

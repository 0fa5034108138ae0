"""The shipped adversarial images: found by attacking the shipped classifiers, and kept with the weights they fool."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from pixelproof.benchmarks import adversarial_sample as command
from pixelproof.benchmarks.defence import DataChoice
from pixelproof.models import CLASSIFIERS, build_classifier, provenance
from pixelproof.models.data import adversarial_sample, sample
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
    found = command.find("lenet", choice, tmp_path / "records.sqlite", folder=folder)
    attacked = adversarial_sample("lenet", shipped_digest("lenet"), folder)
    assert attacked is not None
    assert found == len(attacked) == 2
    with torch.no_grad():
        seen = build_classifier("lenet")(torch.from_numpy(attacked.images).permute(0, 3, 1, 2) / 255).argmax(1)
    assert (seen.numpy() != attacked.labels).all()
    assert json.loads((folder / "adversarial.json").read_text())["nin"] == kept["nin"]


def test_those_of_the_present_weights_are_left_alone(monkeypatch):
    monkeypatch.setattr(command, "adversarial_sample", lambda name, digest: digest == shipped_digest(name))
    monkeypatch.setattr(command, "find", lambda *_: pytest.fail("attacked again"))
    monkeypatch.setattr(sys, "argv", ["adversarial_sample"])
    command.main()


def test_only_the_named_are_attacked_and_on_the_device_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(command, "adversarial_sample", lambda name, digest: None)
    monkeypatch.setattr(command, "find", lambda name, choice, records, backend: asked.append((name, backend)) or 7)
    monkeypatch.setattr(sys, "argv", ["adversarial_sample", "resnet", "nin", "--attack-backend", "cuda"])
    command.main()
    assert asked == [("resnet", "cuda"), ("nin", "cuda")]
    assert "nin: 7 adversarial images" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["adversarial_sample"])
    command.main()
    assert asked[2:] == [(name, "auto") for name in CLASSIFIERS]
    monkeypatch.setattr(sys, "argv", ["adversarial_sample", "resnett"])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    assert "invalid choice: 'resnett'" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch, tmp_path: Path):
    pytest.importorskip("torch", reason="exports a shipped network")
    monkeypatch.setattr(command, "adversarial_sample", lambda name, digest: None)
    monkeypatch.setattr(command, "_RECORDS", tmp_path)
    monkeypatch.setattr("pixelproof.attack.cuda.open_device", no_device)
    monkeypatch.setattr(sys, "argv", ["adversarial_sample", "lenet", "--attack-backend", "cuda"])
    with pytest.raises(SystemExit, match="error: no GPU here"):
        command.main()
    assert list(tmp_path.iterdir()) == []


def no_device() -> None:
    from pixelproof.errors import PixelproofError

    raise PixelproofError("no GPU here. Next: --attack-backend cpu")

"""`pixelproof bench attack` as it is typed."""

import json
from pathlib import Path

import pytest
import torch

from pixelproof.benchmarks import attack_speed as memory

BRIEF = ("--sample", "--images", "1", "--generations", "1", "--population", "25", "--threads", "1")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "peak_memory", lambda *_: 123.0)  # the real one has a test of its own


def test_it_prints_and_writes_the_comparison_and_goes_on_from_its_records(lenet_median_bundle: Path, run_cli):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        code, out, err = run_cli("bench", "attack", lenet_median_bundle, *BRIEF, "-o", "speed")
        assert torch.get_num_threads() == 2  # as it was, whatever --threads and the cascades asked for
    finally:
        torch.set_num_threads(threads)
    assert code == 0
    assert "Speed of one-pixel attacks" in out
    assert "wrote speed.json and speed.md" in err
    written = json.loads(Path("speed.json").read_text())
    assert written["kind"] == "attack-speed"
    own = ["corners", "corners, screened in int8", "corners, screened in bf16", "corners, PyTorch", "de", "de, PyTorch"]
    assert [row["attack"] for row in written["rows"]][:6] == own
    assert {row["n"] for row in written["rows"]} == {1}
    assert {row["peak_memory_mib"] for row in written["rows"]} == {123.0}
    assert (written["generations"], written["population"], written["conditions"]["threads"]) == (1, 25, 1)
    assert len(list(Path("runs/attack-speed").iterdir())) == len(written["rows"])
    left_out = [note for note in written["notes"] if "which is not installed. Next: pip install " in note]
    assert len(written["rows"]) + len(left_out) == 8
    printed = json.loads(run_cli("bench", "attack", lenet_median_bundle, *BRIEF, "--json").out)
    assert printed["rows"] == written["rows"]
    assert any("of an earlier run" in note for note in printed["notes"])
    assert run_cli("report", "speed.json").code == 0
    assert "Attack speed" in Path("report.html").read_text()


def test_bad_requests_are_one_line(lenet_median_bundle: Path, make_bundle, refused, tmp_path: Path):
    assert "there is no bundle 'none'" in refused(1, "bench", "attack", "none", "--sample")
    assert "--images takes whole numbers" in refused(2, "bench", "attack", lenet_median_bundle, "--images", "a")
    assert "expected one number of images" in refused(
        2, "bench", "attack", lenet_median_bundle, "--sample", "--images", "1,2"
    )
    assert "results are written as .json and .md" in refused(
        2, "bench", "attack", lenet_median_bundle, "--sample", "-o", "table.csv"
    )
    assert list(tmp_path.iterdir()) == []
    assert "not one that is shipped" in refused(2, "bench", "attack", make_bundle(), "--sample")

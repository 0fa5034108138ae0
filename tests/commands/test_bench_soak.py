"""`pixelproof bench soak` as it is typed."""

import json
from pathlib import Path

import pytest

from pixelproof.benchmarks import endurance as measure
from pixelproof.benchmarks.endurance import growth


def test_it_prints_and_writes_what_it_watched(make_bundle, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure.bench_soak, "__kwdefaults__", {**measure.bench_soak.__kwdefaults__, "starts": 2})
    code, out, err = run_cli("bench", "soak", make_bundle(), "--rounds", "50", "--images", "3000", "-o", "found")
    assert code == 0
    assert "open, run one image, close" in out
    assert "import pixelproof.runtime: " in out
    assert "wrote found.json and found.md" in err
    written = json.loads(Path("found.json").read_text())
    rounds, images = written["rows"]
    assert (rounds["count"], images["count"]) == (50, 3000)
    assert [sample["done"] for sample in rounds["memory"]][-1] == 50
    assert images["memory"][-1]["done"] == 3000
    assert all(20 < sample["mib"] < 2000 for sample in rounds["memory"])
    assert [start["runs"] for start in written["starts"]] == [2, 2]
    assert run_cli("report", "found.json").code == 0
    assert "Soak of means" in Path("report.html").read_text()


def test_growth_compares_the_last_quarter_with_the_second():
    assert growth([9, 9, 1, 1, 5, 5, 4, 4]) == 3
    assert growth([1, 2, 3]) is None


def test_a_process_that_dies_is_an_error(make_bundle, refused, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(measure, "_cold", lambda *_: None)
    monkeypatch.setitem(measure._WORK, "rounds", "rounds")
    real = measure.subprocess.Popen
    monkeypatch.setattr(measure.subprocess, "Popen", lambda command, **k: real([command[0], "-c", "exit(7)"], **k))
    assert "ended with code 7 after 0" in refused(1, "bench", "soak", make_bundle(), "--rounds", "5")


def test_bad_requests_are_one_line(refused, make_bundle, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no bundle 'none'" in refused(1, "bench", "soak", "none")
    assert "unknown backend" in refused(2, "bench", "soak", make_bundle(), "--backend", "npu")


@pytest.mark.parametrize("counts", [{"rounds": 0}, {"images": 0}, {"starts": 0}])
def test_counts_below_one_are_refused(make_bundle, counts: dict[str, int]):
    from pixelproof.errors import UsageError

    with pytest.raises(UsageError, match="expected 1 round, image and start or more"):
        measure.bench_soak(make_bundle(), **counts)

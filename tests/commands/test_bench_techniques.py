"""`pixelproof bench techniques` as it is typed."""

import json
from pathlib import Path

from pixelproof.benchmarks.techniques import TRANSFORMS


def test_it_prints_and_writes_the_comparison(lenet_median_bundle: Path, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli(
        "bench", "techniques", lenet_median_bundle, "--sample", "--images", "3", "--threads", "1", "-o", "found"
    )
    assert code == 0
    assert "Purifiers and the usual input transformations" in out
    assert "D_suc" in out
    assert all(name in out for name in TRANSFORMS)
    assert "wrote found.json and found.md" in err
    written = json.loads(Path("found.json").read_text())
    assert written["kind"] == "techniques"
    assert [row["n"] for row in written["rows"]] == [3] * (1 + len(TRANSFORMS))
    assert run_cli("report", "found.json").code == 0
    assert "total variation" in Path("report.html").read_text()


def test_json_alone_goes_to_stdout(lenet_median_bundle: Path, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run_cli("bench", "techniques", lenet_median_bundle, "--sample", "--images", "1", "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["technique"] == "median"


def test_bad_requests_are_one_line(lenet_median_bundle: Path, refused, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert "there is no bundle 'none'" in refused(1, "bench", "techniques", "none", "--sample")
    assert "results are written as .json and .md" in refused(
        2, "bench", "techniques", lenet_median_bundle, "--sample", "-o", "table.csv"
    )
    assert list(tmp_path.iterdir()) == []

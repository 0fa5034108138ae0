"""`pixelproof bench layers` as it is typed."""

import json
from pathlib import Path

from pixelproof.benchmarks.results_file import read_results


def test_it_prints_and_writes_the_layers(lenet_median_bundle: Path, run_cli, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    command = ("bench", "layers", lenet_median_bundle, "--rounds", "2", "--threads", "1", "-o", "found")
    code, out, err = run_cli(*command)
    assert code == 0
    assert "What one changed pixel needs of each layer" in out
    assert "a candidate" in out
    assert "wrote found.json and found.md" in err
    written = json.loads(Path("found.json").read_text())
    assert written["kind"] == "layers"
    # 5x5 convolutions without padding on 32x32, pooling by 2 between them: 25 of 784 places, then 49 of 100
    first, second = written["rows"]
    assert (first["side"], first["changed"], first["arithmetic"]) == (28, 5, 28 * 28 * 6 * 75)
    assert first["needed"] == 25 * 6 * 75
    assert (second["side"], second["changed"], second["arithmetic"]) == (10, 7, 10 * 10 * 16 * 150)
    (cost,) = written["candidates"]
    assert cost["whole_ms"] > 0
    assert (cost["windows_ms"] is None) == (cost["times_faster"] is None) == (not first["by_windows"])
    results = read_results(Path("found.json"))
    assert results.rows[0].classifier == "lenet"
    assert run_cli("report", "found.json").code == 0
    assert "needs of each layer" in Path("report.html").read_text()


def test_bad_requests_are_one_line(make_bundle, refused, monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert "there is no bundle 'none'" in refused(1, "bench", "layers", "none")
    assert "layers are timed on the shipped 32x32 ones" in refused(2, "bench", "layers", make_bundle(purifier="cap"))

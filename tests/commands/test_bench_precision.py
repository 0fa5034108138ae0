"""`pixelproof bench precision` as it is typed."""

import json
from pathlib import Path

import pytest


def test_it_prints_and_writes_every_precision(run_cli, monkeypatch, tmp_path: Path):
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx builds engines with no GPU")
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli(
        "bench", "precision", "lenet", "--rounds", "3", "--engines", "portable,8.9", "--threads", "1", "-o", "found"
    )
    assert code == 0, err
    assert out.index("Precisions") < out.index("\n\nEngines built")
    assert "wrote found.json and found.md" in err
    written = json.loads(Path("found.json").read_text())
    rows = {(row["precision"], row["target"]): row for row in written["rows"]}
    assert list(rows) == [("fp32", "both"), ("fp16", "both"), ("int8", "cpu"), ("int8", "tensorrt")]
    full = rows["fp32", "both"]
    assert full["agreement"] is None
    assert f"{full['d_suc']['count']} of {full['d_suc']['n']}" in out
    assert full["times_faster"] == 1
    for row in list(rows.values())[1:]:
        assert row["agreement"] >= 0.95
        assert abs(row["accuracy"] - full["accuracy"]) <= 0.02
        assert abs(row["d_suc"]["value"] - full["d_suc"]["value"]) <= 0.02
    assert rows["int8", "cpu"]["nbytes"] < rows["fp16", "both"]["nbytes"] < full["nbytes"]
    assert rows["int8", "tensorrt"]["times_faster"] is None
    engines = [(row["precision"], row["built_for"], row["lower_share"]) for row in written["engines"]]
    assert engines == [(name, place, 1) for name in ("fp32", "fp16", "int8") for place in ("portable", "8.9")]
    assert run_cli("report", "found.json").code == 0
    page = Path("report.html").read_text()
    assert "Precisions" in page
    assert "Engines built" in page


def test_bad_requests_are_one_line(refused):
    assert "unknown classifier 'lenett'; did you mean 'lenet'" in refused(2, "bench", "precision", "lenett")

"""`pixelproof demo`, with the stages made small."""

from pathlib import Path

import pytest

from pixelproof.benchmarks.defense import DefenseResults
from pixelproof.benchmarks.latency import LatencyResults
from pixelproof.benchmarks.results import read_results
from pixelproof.commands import demo
from pixelproof.runtime import read_bundle


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bundle, of which one image is attacked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "STAGES", (("lenet", ("median",), 1),))
    monkeypatch.setattr(demo, "TIMED", "lenet-median")


def test_it_leaves_bundles_results_and_report_and_prints_both_tables(run_cli, tmp_path: Path):
    code, out, err = run_cli("demo", "-o", "out/report.html", "--folder", "work")
    assert code == 0
    read_bundle(Path("work/bundles/lenet-median"))
    defense, latency = read_results(Path("work/defense.json")), read_results(Path("work/latency.json"))
    assert isinstance(defense, DefenseResults)
    assert isinstance(latency, LatencyResults)
    assert [(row.classifier, row.purifier, row.n) for row in defense.rows] == [("lenet", "median", 1)]
    assert defense.rows[0].adaptive_success is not None
    assert {row.batch for row in latency.rows} == {1, 64}
    for text in ("D_suc", "the paper's", "Latency: lenet behind median", "ONNX, fused graph"):
        assert text in out
    assert out.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    page = Path("out/report.html").read_text()
    for text in ("D_suc", "ONNX, fused graph", "pixelproof demo -o out/report.html --folder work"):
        assert text in page
    assert [line for line in err.splitlines() if line[1:3] == "/4"] == [
        "1/4 export: purifier and classifier as one graph, compared with PyTorch in a fresh process",
        "2/4 attack and defend: one pixel, transferred and adaptive",
        "3/4 latency: interleaved rounds",
        "4/4 report",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "work"]


def test_ctrl_c_says_where_everything_is_kept(run_cli, monkeypatch: pytest.MonkeyPatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pixelproof.export.export_bundle", stop)
    code, out, err = run_cli("demo")
    assert (code, out) == (130, "")
    message = "error: stopped; what is done is kept in 'runs/demo'. Next: the same command goes on"
    assert err.splitlines()[-1] == message
    assert not Path("report.html").exists()


def test_the_stages_as_shipped_are_of_shipped_networks_and_time_one_of_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    from pixelproof.models import CLASSIFIERS, PURIFIERS

    bundles = [f"{classifier}-{purifier}" for classifier, purifiers, _ in demo.STAGES for purifier in purifiers]
    assert demo.TIMED in bundles
    assert {classifier for classifier, _, _ in demo.STAGES} <= set(CLASSIFIERS)
    assert {purifier for _, purifiers, _ in demo.STAGES for purifier in purifiers} <= set(PURIFIERS)


def test_a_report_that_cannot_be_written_is_told_before_the_work(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    assert "'here' is a folder, not a report. Next: -o here/report.html" in refused(2, "demo", "-o", "here")
    assert "/file'. Next: check the disk and the folder's permissions" in refused(1, "demo", "-o", "file/report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "here"]

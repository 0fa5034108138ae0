"""`pixelproof bench NAME` as it is typed: what is printed, written, reported, and refused."""

import json
from pathlib import Path

import pytest
import torch

from pixelproof.benchmarks import attack_speed, endurance
from pixelproof.benchmarks.endurance import growth
from pixelproof.benchmarks.results import read_results
from pixelproof.benchmarks.techniques import TRANSFORMS
from pixelproof.errors import UsageError

BRIEF = ("--sample", "--images", "1", "--generations", "1", "--population", "25", "--threads", "1")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(attack_speed, "peak_memory", lambda *_: 123.0)  # the real one has a test of its own


@pytest.fixture
def measure(run_cli):
    """`measure("latency", bundle, ...)`: what it prints, what it writes, and the report on that."""

    def run(*arguments: object) -> tuple[str, dict, str]:
        code, out, err = run_cli("bench", *arguments, "-o", "found")
        assert code == 0, err
        assert "wrote found.json and found.md" in err
        assert run_cli("report", "found.json").code == 0
        return out, json.loads(Path("found.json").read_text()), Path("report.html").read_text()

    return run


def test_attack_compares_and_goes_on_from_its_records(lenet_median_bundle: Path, measure, run_cli):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        out, written, page = measure("attack", lenet_median_bundle, *BRIEF)
        assert torch.get_num_threads() == 2  # as it was, whatever --threads and the cascades asked for
    finally:
        torch.set_num_threads(threads)
    assert "Speed of one-pixel attacks" in out
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
    assert "Attack speed" in page


def test_latency_prints_its_table_or_json_alone(make_bundle, measure, run_cli, tmp_path: Path):
    bundle = make_bundle()
    out, _, _ = measure("latency", bundle, "--batch", "1", "--rounds", "1")
    assert "ONNX, fused graph" in out
    assert read_results(tmp_path / "found.json").rows[0].batch == 1
    assert "| ONNX, fused graph | 1 |" in Path("found.md").read_text()
    printed = run_cli("bench", "latency", bundle, "--batch", "2,1,2", "--rounds", "1", "--json").out
    assert [row["batch"] for row in json.loads(printed)["rows"]] == [1, 1, 1, 2, 2, 2]


def test_precision_measures_every_one_and_builds_engines(measure):
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx builds engines with no GPU")
    options = ["--rounds", "3", "--engines", "portable,8.9", "--threads", "1"]
    out, written, page = measure("precision", "lenet", *options)
    assert out.index("Precisions") < out.index("\n\nEngines built")
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
    assert "Precisions" in page
    assert "Engines built" in page


def test_soak_writes_what_it_watched(make_bundle, measure, monkeypatch):
    monkeypatch.setattr(endurance.bench_soak, "__kwdefaults__", {**endurance.bench_soak.__kwdefaults__, "starts": 2})
    out, written, page = measure("soak", make_bundle(), "--rounds", "50", "--images", "3000")
    assert "open, run one image, close" in out
    assert "import pixelproof.runtime: " in out
    rounds, images = written["rows"]
    assert (rounds["count"], images["count"]) == (50, 3000)
    assert [sample["done"] for sample in rounds["memory"]][-1] == 50
    assert images["memory"][-1]["done"] == 3000
    assert all(20 < sample["mib"] < 2000 for sample in rounds["memory"])
    assert [start["runs"] for start in written["starts"]] == [2, 2]
    assert "Soak of means" in page


def test_growth_compares_the_last_quarter_with_the_second():
    assert growth([9, 9, 1, 1, 5, 5, 4, 4]) == 3
    assert growth([1, 2, 3]) is None


def test_a_process_that_dies_is_an_error(make_bundle, refused, monkeypatch):
    monkeypatch.setattr(endurance, "_cold", lambda *_: None)
    monkeypatch.setitem(endurance._WORK, "rounds", "rounds")
    real = endurance.subprocess.Popen
    monkeypatch.setattr(endurance.subprocess, "Popen", lambda command, **k: real([command[0], "-c", "exit(7)"], **k))
    assert "ended with code 7 after 0" in refused(1, "bench", "soak", make_bundle(), "--rounds", "5")


@pytest.mark.parametrize("counts", [{"rounds": 0}, {"images": 0}, {"starts": 0}])
def test_counts_below_one_are_refused(make_bundle, counts: dict[str, int]):
    with pytest.raises(UsageError, match="expected 1 round, image and start or more"):
        endurance.bench_soak(make_bundle(), **counts)


def test_techniques_compares_all_and_prints_json_alone(lenet_median_bundle: Path, measure, run_cli):
    shown = ("techniques", lenet_median_bundle, "--sample", "--threads", "1", "--images", "3")
    out, written, page = measure(*shown)
    assert "Purifiers and the usual input transformations" in out
    assert "D_suc" in out
    assert all(name in out for name in TRANSFORMS)
    assert written["kind"] == "techniques"
    assert [row["n"] for row in written["rows"]] == [3] * (1 + len(TRANSFORMS))
    assert "total variation" in page
    assert json.loads(run_cli("bench", *shown, "--json").out)["rows"][0]["technique"] == "median"


REFUSED = [
    (1, "there is no bundle 'none'", "attack none --sample"),
    (1, "there is no bundle 'none'", "kernels none"),
    (1, "there is no bundle 'none'", "latency none"),
    (1, "there is no bundle 'none'", "soak none"),
    (1, "there is no bundle 'none'", "techniques none --sample"),
    (2, "--images takes whole numbers", "attack LENET --images a"),
    (2, "expected one number of images", "attack LENET --sample --images 1,2"),
    (2, "not one that is shipped", "attack MEANS --sample"),
    (2, "--batch takes whole numbers", "latency MEANS --batch 1,x"),
    (2, "--batch takes whole numbers", "latency MEANS --batch 0"),
    (2, "--batch takes whole numbers", "latency MEANS --batch="),
    (2, "unknown backend 'cdu'", "latency MEANS --backend cdu"),
    (2, "unknown backend", "soak MEANS --backend npu"),
    (2, "unknown classifier 'lenett'; did you mean 'lenet'", "precision lenett"),
    (2, "results are written as .json and .md", "attack LENET --sample -o table.csv"),
    (2, "results are written as .json and .md", "latency MEANS -o table.csv"),
    (2, "results are written as .json and .md", "techniques LENET --sample -o table.csv"),
    (2, "is a folder", "latency MEANS -o folder.json"),
]


@pytest.mark.parametrize(("code", "message", "line"), REFUSED, ids=[line for _, _, line in REFUSED])
def test_bad_requests_are_one_line_before_anything_is_measured(
    code: int, message: str, line: str, lenet_median_bundle: Path, make_bundle, refused, tmp_path: Path
):
    (tmp_path / "folder.md").mkdir()
    bundles = {"LENET": str(lenet_median_bundle), "MEANS": str(make_bundle())}
    before = sorted(tmp_path.iterdir())
    assert message in refused(code, "bench", *(bundles.get(word, word) for word in line.split()))
    if "shipped" not in message:  # found when the records' folder is there already
        assert sorted(tmp_path.iterdir()) == before


def test_a_missing_gpu_is_reported(refused, lenet_median_bundle: Path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "attacking with CUDA kernels needs PyCUDA" in refused(1, "bench", "kernels", lenet_median_bundle)

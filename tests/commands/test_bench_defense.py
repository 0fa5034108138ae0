"""`pixelproof bench defense` as it is typed, and the report on what it writes."""

import json
from pathlib import Path

import pytest

from pixelproof.benchmarks.defense import DefenseResults
from pixelproof.benchmarks.results import read_results
from pixelproof.statistics import Share


@pytest.fixture(autouse=True)
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, where records go unasked."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_records() -> dict[str, str]:
    return {path.name: path.read_text() for path in Path("runs/records").glob("*.jsonl")}


def test_table_files_report_and_a_second_run(lenet_median_bundle: Path, run_cli):
    arguments = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "2"]
    code, out, err = run_cli(*arguments, "-o", "results.json")
    assert code == 0
    for text in ("D_suc", "adaptive", "median", "the paper's", "50.0 %", "75.0 %", "68.6–80.5"):
        assert text in out
    assert err.splitlines()[-1] == "wrote results.json and results.md"
    results = read_results(Path("results.json"))
    assert isinstance(results, DefenseResults)
    assert results.rows[0].attack_success == Share(1, 2)
    assert results.rows[0].adaptive_success is not None
    assert results.conditions.provider == "CPUExecutionProvider"
    assert (
        results.conditions.command
        == f"pixelproof bench defense {lenet_median_bundle} --sample --images 2 -o results.json"
    )
    assert "| lenet | median | corners | 75.0 % (68.6–80.5) | 50.0 % " in Path("results.md").read_text()

    kept = all_records()
    again = json.loads(run_cli(*arguments, "--json").out)
    assert again["rows"] == json.loads(Path("results.json").read_text())["rows"]
    assert all_records() == kept

    assert run_cli("report", "results.json", "-o", "report.html").code == 0
    assert "D_suc" in Path("report.html").read_text()


def test_transfer_alone_leaves_the_adaptive_figures_out(lenet_median_bundle: Path, run_cli):
    arguments = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "3", "--protocol", "transfer"]
    (row,) = json.loads(run_cli(*arguments, "--json").out)["rows"]
    assert (row["n"], row["attack_success"]["count"], row["adaptive_success"]) == (3, 2, None)
    assert len(all_records()) == 1


def test_a_screened_table_says_so_and_has_records_of_its_own(lenet_median_bundle: Path, run_cli):
    arguments = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "2"]
    full = json.loads(run_cli(*arguments, "--json").out)["rows"][0]
    kept = set(all_records())
    code, out, _ = run_cli(*arguments, "--cascade", "int8", "-o", "results.json")
    assert code == 0
    assert "screened in int8" in " ".join(out.split())
    (row,) = read_results(Path("results.json")).rows
    assert row.screen == "int8"
    for share, name in zip(
        (row.attack_success, row.defense_rate, row.adaptive_success),
        ("attack_success", "defence_rate", "adaptive_success"),
        strict=True,
    ):
        assert share.count == full[name]["count"]
    assert kept < set(all_records())


def test_an_evolution_of_ones_own_is_told_with_the_method(lenet_median_bundle: Path, run_cli):
    arguments = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "2", "--method", "de"]
    assert run_cli(*arguments, "--population", "10", "--generations", "4", "-o", "results.json").code == 0
    (row,) = read_results(Path("results.json")).rows
    assert (row.population, row.generations) == (10, 4)
    assert max(row.queries_p90, row.adaptive_queries_p90) <= 50
    assert "| de, population 10, generations 4 |" in Path("results.md").read_text()


def test_the_earlier_name_of_a_protocol_warns(lenet_median_bundle: Path, run_cli):
    arguments = ["bench", "defense", lenet_median_bundle, "--sample", "--images", "1", "--json"]
    before = run_cli(*arguments, "--protocol", "both")
    assert "--protocol both is --protocol adaptive now" in before.err
    now = run_cli(*arguments)
    assert "is --protocol adaptive now" not in now.err
    assert json.loads(before.out)["rows"] == json.loads(now.out)["rows"]


REFUSED = {
    "method": (["--method", "cornerz"], 2, "unknown method 'cornerz'; did you mean 'corners'?"),
    "protocol": (["--protocol", "whole"], 2, "unknown protocol 'whole'; there are: adaptive, transfer."),
    "output": (["-o", "results.txt"], 2, "results are written as .json and .md, got 'results.txt'"),
    "folder": (["-o", "folder"], 2, "'folder.json' is a folder, not a result file"),
    "below a file": (["-o", "file/found"], 1, "/file'. Next: check the disk and the folder's permissions"),
    "cascade": (["--cascade", "fp8"], 2, "unknown cascade 'fp8'; there are: bf16, int8. Next: "),
    "pixels": (["--pixels", "1025"], 2, "pixels is 1025, expected 1 to 1024"),
    "data": (["--data", "folder.json"], 1, "'folder.json' holds neither CIFAR-10 nor a subfolder for each class"),
    "second bundle": (["none"], 1, "there is no bundle 'none'"),
    "second bundle, bare": (["bare"], 2, "bundle 'bare' has no purifier, so there is no defense to measure"),
}


@pytest.mark.parametrize(("options", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_unfit_is_one_line_before_anything_is_attacked(
    options, code: int, message: str, lenet_median_bundle: Path, make_bundle, refused
):
    Path("folder.json").mkdir()
    Path("file").touch()
    make_bundle("bare", purifier=None)
    data = [] if "--data" in options else ["--sample"]
    assert message in refused(code, "bench", "defense", lenet_median_bundle, *options, *data)
    assert all_records() == {}


def test_ctrl_c_keeps_finished_images(lenet_median_bundle: Path, run_cli, ctrl_c_when):
    ctrl_c_when(lambda: sum(text.count("\n") for text in all_records().values()) >= 3)
    code, out, err = run_cli("bench", "defense", lenet_median_bundle, "--sample", "-o", "results.json")
    assert (code, out) == (130, "")
    message = "error: stopped; finished images are kept in 'runs/records'. Next: the same command goes on"
    assert err.splitlines()[-1] == message
    assert not Path("results.json").exists()
    kept = all_records()
    row = json.loads(
        run_cli(
            "bench", "defense", lenet_median_bundle, "--sample", "--protocol", "transfer", "--images", "2", "--json"
        ).out
    )["rows"][0]
    assert row["attack_success"]["count"] == 1
    assert all(all_records()[name].startswith(text) for name, text in kept.items())

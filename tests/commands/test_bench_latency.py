"""`pixelproof bench latency` as it is typed."""

import json

import pytest
from typer.testing import CliRunner

from pixelproof.app import app
from pixelproof.benchmarks.results import read_results
from pixelproof.errors import BundleError, UsageError


def run(*arguments):
    return CliRunner().invoke(app, ["bench", "latency", *map(str, arguments)], catch_exceptions=False)


def test_the_table_is_printed_and_both_files_are_written(make_bundle, tmp_path):
    result = run(make_bundle(), "--batch", "1", "--rounds", "1", "-o", tmp_path / "latency.json")
    assert result.exit_code == 0
    assert "ONNX, fused graph" in result.stdout
    assert read_results(tmp_path / "latency.json").rows[0].batch == 1
    assert "| ONNX, fused graph | 1 |" in (tmp_path / "latency.md").read_text()


def test_json_is_all_that_stdout_gets(make_bundle):
    result = run(make_bundle(), "--batch", "2,1,2", "--rounds", "1", "--json")
    assert [row["batch"] for row in json.loads(result.stdout)["rows"]] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "1,x"], "--batch takes whole numbers"),
        (["--batch", "0"], "--batch takes whole numbers"),
        (["--batch", ""], "--batch takes whole numbers"),
        (["-o", "results.txt"], "results are written as .json and .md"),
        (["--backend", "cdu"], "unknown backend 'cdu'"),
    ],
)
def test_unfit_options_are_refused_before_anything_is_timed(options, message, make_bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        run(make_bundle(), *options)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_is_no_result_file(make_bundle, tmp_path):
    (tmp_path / "latency.md").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        run(make_bundle(), "-o", tmp_path / "latency.json")


def test_a_missing_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle"):
        run(tmp_path / "none")

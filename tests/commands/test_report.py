"""`pixelproof report` as it is typed."""

import json

import pytest
from typer.testing import CliRunner

from pixelproof.app import app
from pixelproof.errors import UsageError

LATENCY = {
    "kind": "latency",
    "format_version": 1,
    "created": "2026-01-31T12:00:00+00:00",
    "conditions": {
        "provider": "CPUExecutionProvider",
        "cpu": "AMD EPYC",
        "cores": 2,
        "threads": 1,
        "versions": {},
        "seed": None,
        "data": "sample",
        "command": "pixelproof bench latency bundle",
    },
    "classifier": "lenet",
    "purifier": None,
    "precision": "fp32",
    "image_size": [32, 32],
    "rows": [],
    "notes": [],
}


def run(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_page_is_written_and_its_path_printed(tmp_path):
    (tmp_path / "latency.json").write_text(json.dumps(LATENCY))
    result = run(tmp_path / "latency.json", "-o", tmp_path / "report.html")
    assert result.stdout.strip() == str(tmp_path / "report.html")
    assert "pixelproof bench latency bundle" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "start"), [("t.csv", "how,batch,p50 ms"), ("t.tex", r"\begin{table}"), ("t.md", "Latency: lenet with")]
)
def test_the_suffix_decides_how_tables_are_written(name: str, start: str, tmp_path):
    (tmp_path / "latency.json").write_text(json.dumps(LATENCY))
    run(tmp_path / "latency.json", "-o", tmp_path / name)
    assert (tmp_path / name).read_text().startswith(start)


def test_results_of_another_kind_are_refused(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(LATENCY | {"kind": "latencies"}))
    with pytest.raises(UsageError, match="did you mean 'latency'"):
        run(tmp_path / "other.json", "-o", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_markdown_that_a_measurement_wrote_is_not_written_over(tmp_path):
    (tmp_path / "latency.json").write_text(json.dumps(LATENCY))
    (tmp_path / "latency.md").write_text("with conditions")
    with pytest.raises(UsageError, match="is one of the results"):
        run(tmp_path / "latency.json", "-o", tmp_path / "latency.md")
    assert (tmp_path / "latency.md").read_text() == "with conditions"

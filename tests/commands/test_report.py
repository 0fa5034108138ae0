"""`pixelproof report` as it is typed."""

import json
from pathlib import Path

import pytest

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


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, with results in `latency.json`."""
    monkeypatch.chdir(tmp_path)
    write("latency.json")


def write(name: str, **changed: object) -> None:
    Path(name).write_text(json.dumps(LATENCY | changed))


def test_the_page_is_written_and_its_path_printed(run_cli):
    assert run_cli("report", "latency.json", "-o", "report.html").out.strip() == "report.html"
    assert "pixelproof bench latency bundle" in Path("report.html").read_text()


@pytest.mark.parametrize(
    ("name", "start"), [("t.csv", "how,batch,p50 ms"), ("t.tex", r"\begin{table}"), ("t.md", "Latency: lenet with")]
)
def test_the_suffix_decides_how_tables_are_written(name: str, start: str, run_cli):
    run_cli("report", "latency.json", "-o", name)
    assert Path(name).read_text().startswith(start)


def test_results_of_another_kind_are_refused(refused):
    write("other.json", kind="latencies")
    assert "did you mean 'latency'" in refused(2, "report", "other.json", "-o", "report.html")
    assert not Path("report.html").exists()


def test_the_markdown_that_a_measurement_wrote_is_not_written_over(refused):
    Path("latency.md").write_text("with conditions")
    assert "is one of the results" in refused(2, "report", "latency.json", "-o", "latency.md")
    assert Path("latency.md").read_text() == "with conditions"

"""The tables: every figure in its place, in Markdown and on the terminal."""

import csv
import dataclasses
import io

import pytest
from rich.console import Console

from pixelproof.benchmarks.defense import defense_table
from pixelproof.benchmarks.precision import EngineRow, PrecisionResults, PrecisionRow
from pixelproof.benchmarks.results import results_markdown
from pixelproof.benchmarks.tables import csv_text, latex, markdown, print_table, rich_table
from pixelproof.statistics import Share


def columns(table):
    """The rows of a table, or of one in Markdown, each a dict of its headings."""
    text = table if isinstance(table, str) else markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    headings, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def test_defense_figures_with_their_intervals(defense):
    row, _, _ = columns(defense_table(defense.rows))
    assert row == {
        "classifier": "lenet",
        "purifier": "gated",
        "method": "corners",
        "clean accuracy": "74.5 % (73.6–75.3)",
        "attack success": "63.4 % (60.4–66.3)",
        "success after": "1.2 % (0.7–2.1)",
        "D_suc": "98.1 % (96.7–98.9)",
        "PL": "0.5 % (0.2–1.2)",
        "adaptive success": "21.0 % (18.6–23.6)",
        "queries (adaptive)": "31 / 8,192 (9,000 / 16,384)",
        "s/image (adaptive)": "0.052 (0.310)",
        "n": "1,000",
    }


def test_the_papers_row_closes_its_classifiers_rows(defense):
    ours, also_ours, paper = columns(defense_table(defense.rows))
    assert [ours["purifier"], also_ours["purifier"]] == ["gated", "median"]
    assert [paper[name] for name in ("classifier", "purifier", "attack success", "success after", "D_suc", "PL")] == [
        "lenet",
        "the paper's",
        "61.2 %",
        "21.7 %",
        "64.5 %",
        "19.2 %",
    ]
    assert paper["adaptive success"] == "–"


def test_what_was_not_measured_has_a_dash(defense):
    row = dataclasses.replace(defense.rows[1], attack_success=Share(0, 0), queries_median=None)
    (cells,) = columns(defense_table([row]))
    assert (cells["attack success"], cells["adaptive success"]) == ("–", "–")
    assert cells["queries (adaptive)"].startswith("–")


def test_purifiers_that_do_not_tell_what_they_let_pass_are_named(defense):
    rows = [
        dataclasses.replace(defense.rows[0], purifier=name, passed_colors=passed)
        for name, passed in (("mine", False), ("gated", True), ("autoencoder", False), ("old", None))
    ]
    (note,) = [note for note in defense_table(rows).notes if note.startswith("The adaptive attacker was not told")]
    assert note.endswith("weaker than against a purifier that tells: mine, autoencoder.")
    assert not any(note.startswith("The adaptive attacker was not told") for note in defense_table(rows[1:2]).notes)


def test_several_pixels_are_told_with_the_method(defense):
    assert columns(defense_table([dataclasses.replace(defense.rows[1], pixels=3)]))[0]["method"] == "de, k=3"


def test_a_screen_is_told_with_the_method(defense):
    row = dataclasses.replace(defense.rows[0], screen="bf16")
    assert columns(defense_table([row]))[0]["method"] == "corners, screened in bf16"


def test_an_evolution_that_is_not_the_published_one_is_told_too(defense):
    row = dataclasses.replace(defense.rows[0], method="de", population=400, generations=1000, pixels=3)
    assert columns(defense_table([row]))[0]["method"] == "de, generations 1,000, k=3"
    assert columns(defense_table([dataclasses.replace(row, generations=100)]))[0]["method"] == "de, k=3"


def test_latency_figures_and_the_mark_of_unsteady_times(latency):
    fused, bare = columns(latency.tables()[0])
    assert fused == {
        "how": "ONNX, fused graph",
        "batch": "1",
        "p50 ms": "0.412",
        "times bare": "3.10",
        "p90 ms": "0.433",
        "p99 ms": "0.510",
        "variation": "3.1 %",
        "images/s": "2,427",
        "peak MiB": "72",
    }
    assert bare["variation"] == "8.0 % !"
    assert bare["peak MiB"] == "–"
    assert "Ran on CPUExecutionProvider: 'ONNX, fused graph', 'ONNX, bare classifier'" in markdown(latency.tables()[0])


def test_markdown_ends_in_the_conditions(defense, latency):
    for results in (defense, latency):
        text = results_markdown(results)
        assert "- command: pixelproof bench defense lenet-gated\n" in text
        assert "- processor: AMD EPYC 9V74, 2 cores\n" in text


def test_names_cannot_break_the_markdown_table(defense):
    row = dataclasses.replace(defense.rows[1], classifier="a|b<i>\nc")
    assert columns(defense_table([row]))[0]["classifier"] == "a\\|b&lt;i> c"


@pytest.mark.parametrize("kind", ["defense", "latency"])
def test_the_terminals_table_holds_every_figure_of_the_markdown(kind, request):
    results = request.getfixturevalue(kind)
    layout = defense_table(results.rows) if kind == "defense" else results.tables()[0]
    console = Console(file=io.StringIO(), width=200)
    console.print(rich_table(layout))
    text = console.file.getvalue()
    figures = [figure for row in columns(layout) for figure in row.values()]
    assert all(part.strip("!() ") in text for figure in figures for part in figure.split(" ("))


def test_a_pipe_gets_every_column_unbroken(defense, capsys):
    print_table(defense_table(defense.rows))
    text = capsys.readouterr().out
    assert "9,000 / 16,384" in text
    assert "…" not in text
    assert "wider terminal" not in text


def test_a_narrow_terminal_gets_the_columns_that_fit(defense, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    print_table(defense_table(defense.rows))
    text = capsys.readouterr().out
    assert "18.6–23.6" in text
    assert "…" not in text
    assert "16,384" not in text
    assert "3 more columns need a wider terminal" in text


def test_engines_have_a_table_of_their_own(latency):
    full = PrecisionRow("lenet", "fp32", "both", 200, None, None, 0.75, 0.76, Share(9, 11), 0.005, 2**18, 1.0)
    lower = dataclasses.replace(full, precision="int8", target="tensorrt", pipeline_agreement=0.97, d_suc=None)
    engines = (
        EngineRow("lenet", "fp32", "tensorrt-rtx", "portable", 2**20, 0.21, 1.0),
        EngineRow("lenet", "fp32", "tensorrt-rtx", "8.9", 2**20, 0.31, 1.0),
        EngineRow("lenet", "int8", "tensorrt-rtx", "8.9", 2**19, 0.4, 0.5),
    )
    results = PrecisionResults(latency.created, latency.conditions, "gated", 64, 30, (full, lower), engines, ())
    precisions, built = results_markdown(results).split("\n\nEngines built")
    assert [row["precision"] for row in columns(precisions)] == ["fp32", "int8"]
    assert columns(precisions)[1]["purified decisions"] == "97.00 %"
    assert [row["D_suc"] for row in columns(precisions)] == ["81.82 % (9 of 11)", "–"]
    assert columns(built) == [
        {
            "classifier": "lenet",
            "precision": "fp32",
            "convolutions in it": "–",
            "portable": "1.00 (0.2 s)",
            "8.9": "1.00 (0.3 s)",
        },
        {
            "classifier": "lenet",
            "precision": "int8",
            "convolutions in it": "50.0 %",
            "portable": "–",
            "8.9": "0.50 (0.4 s)",
        },
    ]
    assert "\n- command: " in built
    assert "Engines built" not in results_markdown(dataclasses.replace(results, engines=()))


def test_csv_holds_every_figure_of_the_markdown(defense):
    table = defense_table(defense.rows)
    headings, *rows = csv.reader(io.StringIO(csv_text(table)))
    assert [dict(zip(headings, row, strict=True)) for row in rows] == columns(table)


def test_latex_holds_every_figure_and_escapes_what_it_would_read_as_commands(defense):
    row = dataclasses.replace(defense.rows[1], classifier="a_b & 50%")
    text = latex(defense_table([row]))
    assert r"a\_b \& 50\% & median & de & 74.5 \% (73.6--75.3) & " in text
    assert text.count(r" \\") == 2  # the headings and the row
    assert r"\begin{tabular}{lllrrrrrrrrr}" in text


def test_groups_are_ruled_off_in_latex(defense):
    other = dataclasses.replace(defense.rows[1], classifier="resnet")
    text = latex(defense_table([*defense.rows, other]))
    assert text.count(r"\midrule") == 2

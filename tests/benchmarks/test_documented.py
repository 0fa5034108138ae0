"""The measured tables of README are what the result files make; a figure copied by hand is found and mended."""

from pathlib import Path

import pytest

from pixelproof.benchmarks.documented import TABLES, write_tables
from pixelproof.errors import UsageError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def test_the_readme_holds_every_table_as_the_results_make_it(readme: Path):
    assert write_tables(readme, RESULTS, check=True) == []
    text = readme.read_text(encoding="utf-8")
    assert all(f"<!-- table: {name} -->" in text for name in TABLES)


def test_a_figure_that_was_changed_is_found_and_written_anew(readme: Path, run_cli):
    right = readme.read_text(encoding="utf-8")
    wrong = right.replace("| LeNet, n = 1,000 | `gated` | 58.3 %", "| LeNet, n = 1,000 | `gated` | 38.3 %")
    assert wrong != right
    readme.write_text(wrong, encoding="utf-8")
    code, out, err = run_cli("bench", "tables", readme, "--results", RESULTS, "--check")
    assert (code, readme.read_text(encoding="utf-8")) == (1, wrong)
    assert "table 'main' is not what the results make" in out
    assert err == "error: documented tables have drifted from the results. Next: make tables\n"
    assert run_cli("bench", "tables", readme, "--results", RESULTS).code == 0
    assert readme.read_text(encoding="utf-8") == right


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no table\n", r"notes\.md' has no table\. Next: put <!-- table: main -->"),
        ("<!-- table: mian -->\n<!-- end -->\n", r"unknown table 'mian'; did you mean 'main'\?"),
    ],
)
def test_what_is_no_table_is_refused_and_left_alone(text: str, message: str, tmp_path: Path):
    path = tmp_path / "notes.md"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        write_tables(path, RESULTS)
    assert path.read_text() == text


def test_results_that_are_missing_are_named(readme: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no result file '.*lenet-corners\.json'"):
        write_tables(readme, tmp_path)

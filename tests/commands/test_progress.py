"""What commands print: plain tables, and how long the work still takes, on a terminal and in a log."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from rich.console import Console

from pixelproof.attack.search.results import Progress
from pixelproof.commands import progress
from pixelproof.commands.options import print_table
from pixelproof.commands.progress import attack_progress, stages


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock, in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return lambda seconds: now.__setitem__(0, seconds)


def test_a_log_gets_a_line_a_minute_and_one_at_the_end(at, capsys: pytest.CaptureFixture[str]):
    with attack_progress() as report:
        for seconds, far in [
            (0, Progress(0, 8, 0, 0, 0.0)),
            (59, Progress(0, 8, 0, 5900, 0.1)),
            (60, Progress(0, 8, 0, 6000, 0.125)),
            (100, Progress(3, 8, 1, 10_000, 0.5)),
            (120, Progress(4, 8, 1, 12_000, 0.5)),
            (150, Progress(8, 8, 2, 15_000, 1.0)),
        ]:
            at(seconds)
            report("transfer", far)
    assert capsys.readouterr().err.splitlines() == [
        "transfer: 0 of 8, 0 misclassified, 100 queries/s, 0:07:00 left",
        "transfer: 4 of 8, 1 misclassified, 100 queries/s, 0:02:00 left",
        "transfer: 8 of 8, 2 misclassified, 100 queries/s, 0:02:30",
    ]


def test_what_is_short_leaves_no_line_in_a_log(at, capsys: pytest.CaptureFixture[str]):
    with stages() as report:
        for done in range(6):
            at(done * 10)
            report("timing", done, 5)
    assert capsys.readouterr().err == ""


def test_the_time_left_is_judged_by_what_was_done_here(at, capsys: pytest.CaptureFixture[str]):
    with stages() as report:
        report("timing", 50, 100)  # of an earlier run
        at(100)
        report("timing", 75, 100)
        at(200)
        report("timing", 75, 100)
    assert [line.partition(", ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "0:01:40 left",
        "0:03:20 left",
    ]


def test_a_stage_of_the_same_name_begins_anew(at, capsys: pytest.CaptureFixture[str]):
    with stages() as report:
        for seconds, done in ((0, 0), (100, 10), (200, 20), (200, 0), (300, 5)):
            at(seconds)
            report("timing", done, 20)
    assert [line.partition(", ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "0:01:40 left",
        "0:03:20",
        "0:05:00 left",
    ]


def test_nothing_to_do_is_no_error(at, capsys: pytest.CaptureFixture[str]):
    with stages() as report:
        report("timing", 0, 0)
        at(99)
        report("timing", 0, 0)
    assert capsys.readouterr().err == "timing: 0 of 0\n"


def test_a_terminal_shows_a_bar_a_stage(at, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(
        progress, "Console", lambda **given: Console(**given, force_terminal=True, width=120, color_system=None)
    )
    with attack_progress() as report:
        for stage in ("transfer", "adaptive"):
            report(stage, Progress(0, 4, 0, 0, 0.0))
            at(2)
            report(stage, Progress(4, 4, 3, 200, 1.0))
    shown = capsys.readouterr().err
    assert "transfer ━━━━━━━━━━━━━━━━━━━━ 4 of 4, 3 misclassified, 100 queries/s, 0:00:02" in shown
    assert "adaptive ━━━━━━━━━━━━━━━━━━━━ 4 of 4, 3 misclassified" in shown


def test_columns_are_as_wide_as_their_widest_cell(capsys):
    print_table([("a", "1"), ("a long name that a terminal would fold" * 4, "22")], header=("name", "n"))
    width = len("a long name that a terminal would fold" * 4)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [width + 3, width + 3, width + 4]
    assert [line[width:].strip() for line in lines] == ["n", "1", "22"]


def test_what_could_steer_a_terminal_is_replaced(capsys):
    print_table([("bell\a\x9b2J", "line\nline", "\udcff.png", "Größe")])
    assert capsys.readouterr().out == "bell??2J  line?line  ?.png  Größe\n"

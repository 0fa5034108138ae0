"""A run in slices: what is done stays done, what is stopped goes on, and everything is told."""

import json
import sys
from pathlib import Path

import pytest

from pixelproof.benchmarks.gpu.__main__ import table
from pixelproof.benchmarks.gpu.slices import DONE, FAILED, SKIPPED, UNFINISHED, Part, run_slice, with_needs


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def count(path: Path) -> str:
    return f"with open({str(path)!r}, 'a') as file: file.write('x')"


def states(outcomes) -> list[str]:
    return [outcome.state for outcome in outcomes.values()]


def test_what_is_done_is_not_done_again(tmp_path: Path):
    parts = [Part("one", [python(count(tmp_path / "one")), python("print('fine')")])]
    for _ in range(2):
        outcomes = run_slice(parts, tmp_path, 60)
        assert (outcomes["one"].state, outcomes["one"].note) == (DONE, "fine")
    assert (tmp_path / "one").read_text() == "x"
    assert json.loads((tmp_path / "state.json").read_text())["one"]["state"] == DONE


def test_other_code_is_run_again_but_for_what_does_not_depend_on_it(tmp_path: Path):
    own = {"of it": None, "not": "its own"}
    parts = [Part(name, [python(count(tmp_path / name))], code=code) for name, code in own.items()]
    for code in ("a", "a", "b"):
        assert states(run_slice(parts, tmp_path, 60, code=code)) == [DONE, DONE]
    assert [(tmp_path / part.name).read_text() for part in parts] == ["xx", "x"]


def test_what_a_new_machine_lacks_is_made_again(tmp_path: Path):
    part = Part("made", [python(count(tmp_path / "made"))], leaves=tmp_path / "made")
    for _ in range(2):
        run_slice([part], tmp_path, 60)
        assert (tmp_path / "made").read_text() == "x"
        (tmp_path / "made").unlink()


def test_what_runs_out_of_time_is_stopped_with_its_children_and_begun_again(tmp_path: Path):
    endless = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    parts = [Part("long", [python(count(tmp_path / "begun") + "\n" + endless)]), Part("later", [python("print(1)")])]
    outcomes = run_slice(parts, tmp_path, 1.5)
    assert states(outcomes) == [UNFINISHED, UNFINISHED]
    assert outcomes["later"].note == "no time was left"
    parts[0] = Part("long", [python(count(tmp_path / "begun"))])
    outcomes = run_slice(parts, tmp_path, 60)
    assert states(outcomes) == [DONE, DONE]
    assert (tmp_path / "begun").read_text() == "xx"
    assert outcomes["long"].seconds > 1.4  # of both slices


def test_what_takes_too_long_leaves_time_to_others_and_comes_last_the_next_time(tmp_path: Path):
    order = tmp_path / "order"
    hangs = Part("hangs", [python(f"{count(order)}\nimport time; time.sleep(60)")], limit_s=1)
    others = Part("others", [python(f"with open({str(order)!r}, 'a') as file: file.write('o')")])
    outcomes = run_slice([hangs, others], tmp_path, 60, code="a")
    assert states(outcomes) == [FAILED, DONE]
    assert outcomes["hangs"].note.startswith("took more than 1 s: ")
    run_slice([hangs, others], tmp_path, 60, code="b")
    assert order.read_text() == "xoox"


@pytest.mark.parametrize(("spent", "state"), [(0.0, UNFINISHED), (100.0, FAILED)])
def test_what_is_stopped_at_the_end_of_each_slice_has_failed_by_its_limit(tmp_path: Path, spent: float, state: str):
    """`spent` in slices before, so that a loaded machine decides nothing."""
    hangs = Part("hangs", [python("import time; time.sleep(60)")], limit_s=100)
    before = {"hangs": {"state": UNFINISHED, "seconds": spent, "note": "stopped", "code": ""}}
    (tmp_path / "state.json").write_text(json.dumps(before))
    assert states(run_slice([hangs], tmp_path, 1)) == [state]


def test_a_failure_is_told_and_the_others_go_on(tmp_path: Path):
    parts = [
        Part("wrong", [python("print('why'); exit(7)")]),
        Part("missing", [["no-such-program"]]),
        Part("skipped", [python("exit(1)")], without="no such thing here"),
        Part("right", [python("")]),
    ]
    outcomes = run_slice(parts, tmp_path, 60)
    assert states(outcomes) == [FAILED, FAILED, SKIPPED, DONE]
    assert outcomes["wrong"].note.startswith("code 7 from: ")
    assert (tmp_path / "wrong.log").read_text() == "why\n"
    assert "no-such-program" in (tmp_path / "missing.log").read_text()
    told = table(outcomes)
    assert "no such thing here" in told
    assert told.endswith("1 of 4 done")


@pytest.mark.parametrize("again", [False, True])
def test_nothing_runs_without_what_it_needs(tmp_path: Path, again: bool):
    """Nor where that had failed before, and is therefore not the first to be tried."""
    first = Part("first", [python("exit(1)")])
    second = Part("second", [python(count(tmp_path / "ran"))], needs=["first"])
    outcomes = run_slice([first, second], tmp_path, 60)
    assert states(outcomes) == [FAILED, UNFINISHED]
    assert outcomes["second"].note == "needs first"
    assert not (tmp_path / "ran").exists()
    if again:
        mended = Part("first", [python(count(tmp_path / "first"))])
        assert states(run_slice([mended, second], tmp_path, 60)) == [DONE, DONE]


def test_what_is_asked_for_brings_what_it_needs():
    needs = {"a": [], "b": ["a"], "c": [], "d": ["b"]}
    parts = [Part(name, [], needs=needed) for name, needed in needs.items()]
    assert [part.name for part in with_needs(parts, ["d"])] == ["a", "b", "d"]
    assert with_needs(parts, list(needs)) == parts

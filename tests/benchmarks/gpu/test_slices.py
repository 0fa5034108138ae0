"""A run in slices: what is done stays done, what is stopped goes on, and everything is told."""

import json
import subprocess
import sys
from pathlib import Path

from pixelproof.benchmarks.gpu.__main__ import table
from pixelproof.benchmarks.gpu.parts import all_parts
from pixelproof.benchmarks.gpu.slices import DONE, FAILED, SKIPPED, UNFINISHED, Part, run_slice


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def count(path: Path) -> str:
    return f"with open({str(path)!r}, 'a') as file: file.write('x')"


def test_what_is_done_is_not_done_again(tmp_path: Path):
    parts = [Part("one", [python(count(tmp_path / "one")), python("print('fine')")])]
    for _ in range(2):
        outcomes = run_slice(parts, tmp_path, 60)
        assert (outcomes["one"].state, outcomes["one"].note) == (DONE, "fine")
    assert (tmp_path / "one").read_text() == "x"
    assert json.loads((tmp_path / "state.json").read_text())["one"]["state"] == DONE


def test_what_runs_out_of_time_is_stopped_with_its_children_and_begun_again(tmp_path: Path):
    endless = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    parts = [Part("long", [python(count(tmp_path / "begun") + "\n" + endless)]), Part("later", [python("print(1)")])]
    outcomes = run_slice(parts, tmp_path, 1.5)
    assert [outcomes[name].state for name in ("long", "later")] == [UNFINISHED, UNFINISHED]
    assert outcomes["later"].note == "no time was left"
    parts[0] = Part("long", [python(count(tmp_path / "begun"))])
    outcomes = run_slice(parts, tmp_path, 60)
    assert [outcomes[name].state for name in ("long", "later")] == [DONE, DONE]
    assert (tmp_path / "begun").read_text() == "xx"
    assert outcomes["long"].seconds > 1.4  # of both slices


def test_a_failure_is_told_and_the_others_go_on(tmp_path: Path):
    parts = [
        Part("wrong", [python("print('why'); exit(7)")]),
        Part("missing", [["no-such-program"]]),
        Part("skipped", [python("exit(1)")], without="no such thing here"),
        Part("right", [python("")]),
    ]
    outcomes = run_slice(parts, tmp_path, 60)
    assert [outcome.state for outcome in outcomes.values()] == [FAILED, FAILED, SKIPPED, DONE]
    assert outcomes["wrong"].note.startswith("code 7 from: ")
    assert (tmp_path / "wrong.log").read_text() == "why\n"
    assert "no-such-program" in (tmp_path / "missing.log").read_text()
    told = table(outcomes)
    assert "no such thing here" in told
    assert told.endswith("1 of 4 done")


def test_nothing_runs_behind_an_essential_part_that_failed(tmp_path: Path):
    parts = [Part("first", [python("exit(1)")], essential=True), Part("second", [python(count(tmp_path / "ran"))])]
    outcomes = run_slice(parts, tmp_path, 60)
    assert [outcome.state for outcome in outcomes.values()] == [FAILED, UNFINISHED]
    assert not (tmp_path / "ran").exists()


def test_the_adversarial_images_are_left_among_the_results(tmp_path: Path):
    (part,) = (part for part in all_parts(tmp_path, None, None) if part.name == "adversarial")
    subprocess.run([sys.executable, *part.commands[-1][1:]], check=True)
    assert json.loads((tmp_path / "adversarial.json").read_text()).keys() >= {"lenet", "resnet"}


def test_a_run_has_every_part_that_a_gpu_is_needed_for(tmp_path: Path):
    names = [part.name for part in all_parts(tmp_path, tmp_path / "wheels", tmp_path / "data")]
    assert names[:4] == ["environment", "tests", "sanitizer", "bundles"]
    assert {"kernels-resnet", "latency-resnet", "train", "adversarial", "de-lenet", "strongest-resnet"} <= set(names)
    assert len(names) == len(set(names))
    without = {part.name: part.without for part in all_parts(tmp_path, None, None)}
    assert "needs the data set" in without["train"]
    assert without["kernels-resnet"] == ""

"""Memory as the system tells it; a child that fails says why nothing was measured."""

import numpy as np
import pytest

from pixelproof.benchmarks.process import child_says, memory_is_told, peak_mib, resident_mib

pytestmark = pytest.mark.skipif(not memory_is_told(), reason="this system does not tell a process's memory")


def test_what_is_filled_is_counted_and_the_peak_outlasts_it():
    before = resident_mib()
    filled = np.ones(200 << 20, np.uint8)
    held = resident_mib()
    assert before + 190 < held < peak_mib() + 1  # the system counts by and by
    del filled
    assert resident_mib() < held - 100
    assert peak_mib() > held - 1


def test_a_child_says_its_last_line():
    code = "import sys; print('a library greets'); print(sys.stdin.read())"
    assert child_says("reading", code, ["a task"]) == '["a task"]'


@pytest.mark.parametrize(
    ("code", "cause"),
    [("raise ValueError('no such way')", "ValueError: no such way"), ("import os; os.kill(os.getpid(), 9)", "-9")],
)
def test_a_child_that_fails_is_told(code: str, cause: str, caplog: pytest.LogCaptureFixture):
    assert child_says("LeNet", code) is None
    assert "the memory of LeNet was not measured: " in caplog.text
    assert cause in caplog.text

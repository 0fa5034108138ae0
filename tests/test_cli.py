"""Ctrl-C and SIGTERM: one line, an exit code, and nothing left behind."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx.parser
import pytest

import pixelproof.app
from pixelproof.cli import main

# a background job, as tests may be, hands down that SIGINT is ignored
LISTEN = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
PRESS = """
class Pressing:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Pressing())
"""
MAIN = "from pixelproof.cli import main; main()"
OWN = """
<ir_version: 10, opset_import: ["": 20]>
own (float[N,3,8,8] x) => (float[N,3] y)
<int64[2] sides = {2, 3}>
{ y = ReduceMean<keepdims=0>(x, sides) }
"""


@pytest.mark.parametrize("module", ["typer", "pixelproof.commands.attack", "pixelproof.errors", "pixelproof.export"])
def test_ctrl_c_while_something_is_imported_is_one_line(module: str, tmp_path: Path):
    code = "\n".join([LISTEN, PRESS.format(module=module), MAIN])
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "lenet"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_sigterm_leaves_nothing(tmp_path: Path):
    onnx.save(onnx.parser.parse_model(OWN), tmp_path / "own.onnx")
    (tmp_path / "classes.txt").write_text("red\ngreen\nblue\n")
    before = sorted(tmp_path.rglob("*"))
    asked = ["export", "own.onnx", "--purifier", "none", "--classes", "classes.txt", "-o", "new/bundle"]
    with subprocess.Popen([sys.executable, "-c", MAIN, *asked], stderr=subprocess.PIPE, cwd=tmp_path) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("new/.bundle.*.tmp")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # `timeout` sends it to the process, then to the group that it is in
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err.decode().splitlines()[-1]) == (143, "error: terminated")
    assert b"Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def sigterm() -> Iterator[None]:
    """What the system does of itself, whatever runs the tests has set."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """`running(work)`: the command line, whose only command is `work`."""

    def run(work: Callable[[], None]) -> None:
        monkeypatch.setattr(pixelproof.app, "app", work)
        main()

    return run


@pytest.mark.usefixtures("sigterm")
def test_a_second_sigterm_does_not_break_off_what_the_first_one_unwinds(running, capsys: pytest.CaptureFixture[str]):
    unwound = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            unwound.append("all")

    with pytest.raises(SystemExit) as left:
        running(work)
    assert (left.value.code, unwound) == (143, ["all"])
    assert capsys.readouterr().err == "error: terminated\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.usefixtures("sigterm")
def test_sigterm_that_is_ignored_or_handled_stays_so(running):
    heard = []
    for handler in (signal.SIG_IGN, lambda *_: heard.append("theirs")):
        signal.signal(signal.SIGTERM, handler)
        running(lambda: signal.raise_signal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) == handler
    assert heard == ["theirs"]


@pytest.mark.usefixtures("sigterm")
def test_outside_the_main_thread_no_handler_is_set(running):
    ran = []
    thread = threading.Thread(target=running, args=(lambda: ran.append(signal.getsignal(signal.SIGTERM)),))
    thread.start()
    thread.join()
    assert ran == [signal.SIG_DFL]

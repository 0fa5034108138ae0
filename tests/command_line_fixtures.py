"""Running the command line in this process."""

import signal
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from pixelproof.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`run_cli("classify", bundle, image)`: the exit code, and what came on stdout and stderr."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["pixelproof", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return Outcome(int(left.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def refused(run_cli: Callable[..., Outcome]) -> Callable[..., str]:
    """`refused(code, "attack", bundle, ...)`: the one line that is all the command says, leaving with `code`."""

    def run(code: int, *arguments: object) -> str:
        outcome = run_cli(*arguments)
        assert (outcome.code, outcome.out) == (code, ""), outcome.err
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.err.startswith("error: ")
        assert "Next: " in outcome.err
        return outcome.err

    return run


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """`installed(version, name, ...)`: from then on Python finds these distributions, before those that are there."""

    def install(version: str, *names: str) -> None:
        packages = tmp_path_factory.mktemp("packages")
        for name in names:
            folder = packages / f"{name.replace('-', '_')}-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(packages)

    return install


@pytest.fixture
def ctrl_c_when() -> Iterator[Callable[[Callable[[], bool]], None]]:
    """`ctrl_c_when(happened)`: this process gets SIGINT as soon as `happened()`, looked at every millisecond."""

    def arm(happened: Callable[[], bool]) -> None:
        def look(*_: object) -> None:
            if happened():
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.raise_signal(signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started with SIGINT ignored
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    numbers = (signal.SIGALRM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield arm
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)

"""Runs parts one after another in slices of time, and remembers what is done."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

DONE, FAILED, SKIPPED, UNFINISHED = "done", "failed", "skipped", "unfinished"
_GRACE_S = 10.0


@dataclass(frozen=True)
class Part:
    """One thing to run.

    Attributes:
        name: of its log, and in the table.
        commands: each a program and its arguments; the first that fails ends the part. Where one is stopped, the same
            is started again in the next slice, and has to go on from where it was.
        without: why it is skipped; empty: it is not.
        essential: nothing behind it runs where it fails.
    """

    name: str
    commands: Sequence[Sequence[str]]
    without: str = ""
    essential: bool = False


@dataclass
class Outcome:
    """What came of a part: its state, its seconds in all slices, and what to know of it."""

    state: str = UNFINISHED
    seconds: float = 0.0
    note: str = ""


@dataclass
class Ledger:
    """The outcomes by part, kept in a file."""

    path: Path
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        """What the slices before left."""
        known = json.loads(path.read_text()) if path.exists() else {}
        return cls(path, {name: Outcome(**outcome) for name, outcome in known.items()})

    def note(self, name: str, outcome: Outcome) -> None:
        """Keep an outcome before this returns."""
        self.outcomes[name] = outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({name: asdict(outcome) for name, outcome in self.outcomes.items()}, indent=2))
        temporary.replace(self.path)


def run_slice(
    parts: Sequence[Part], folder: Path, seconds: float, environment: Mapping[str, str] | None = None
) -> dict[str, Outcome]:
    """Run what is not done yet, until all is or the time is up; the outcomes of all parts, in their order.

    A part that failed is tried again. Each part's output goes to a log of its name in `folder`.
    """
    ledger = Ledger.load(folder / "state.json")
    ends = time.monotonic() + seconds
    for part in parts:
        before = ledger.outcomes.get(part.name, Outcome())
        if before.state == DONE:
            continue
        if part.without:
            ledger.note(part.name, Outcome(SKIPPED, before.seconds, part.without))
            continue
        left = ends - time.monotonic()
        if left <= 0:
            ledger.note(part.name, Outcome(UNFINISHED, before.seconds, before.note or "no time was left"))
            continue
        after = _run(part, folder / f"{part.name}.log", ends, environment)
        after.seconds += before.seconds
        ledger.note(part.name, after)
        if part.essential and after.state != DONE:
            break
    return {part.name: ledger.outcomes.get(part.name, Outcome(note="not begun")) for part in parts}


def _run(part: Part, log: Path, ends: float, environment: Mapping[str, str] | None) -> Outcome:
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        for command in part.commands:
            code = _call(command, output.fileno(), ends - time.monotonic(), environment)
            seconds = time.monotonic() - started
            if code is None:
                return Outcome(UNFINISHED, seconds, f"stopped in: {' '.join(command)[:80]}")
            if code:
                return Outcome(FAILED, seconds, f"code {code} from: {' '.join(command)[:80]}; see {log.name}")
    return Outcome(DONE, time.monotonic() - started, _last_line(log))


def _call(command: Sequence[str], output: int, seconds: float, environment: Mapping[str, str] | None) -> int | None:
    """The exit code; None where the time was up, and the process and its children were stopped."""
    if seconds <= 0:
        return None
    try:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        os.write(output, f"{error}\n".encode())
        return 127
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        for number, patience in ((signal.SIGINT, _GRACE_S), (signal.SIGKILL, None)):
            os.killpg(process.pid, number)
            try:
                process.wait(patience)
                return None
            except subprocess.TimeoutExpired:
                continue
        return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:100] if lines else ""

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
        commands: each a program and its arguments; the first that fails ends the part. A part that is stopped, or done
            with other code, starts again with the first: what takes long has to go on from where it was.
        without: why it is skipped; empty: it is not.
        needs: names of parts that are done before it, or it is not begun.
        leaves: what is there when it is done; where it is not, as on another machine, it is done again.
        code: a hash of what it depends on, with another of which it is done again; None: the one of all code.
        limit_s: what takes longer has failed, and leaves the rest of the slice to others.
    """

    name: str
    commands: Sequence[Sequence[str]]
    without: str = ""
    needs: Sequence[str] = ()
    leaves: Path | None = None
    code: str | None = None
    limit_s: float = float("inf")


@dataclass
class Outcome:
    """What came of a part: its state, its seconds in all slices, what to know of it, and the code it was done with."""

    state: str = UNFINISHED
    seconds: float = 0.0
    note: str = "not begun"
    code: str = ""


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


def with_needs(parts: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """Those of `names`, and what they need, in the order of `parts`."""
    by_name = {part.name: part for part in parts}
    wanted: set[str] = set()
    left = list(names)
    while left:
        if (name := left.pop()) not in wanted:
            wanted.add(name)
            left += by_name[name].needs
    return [part for part in parts if part.name in wanted]


def run_slice(
    parts: Sequence[Part],
    folder: Path,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    code: str = "",
) -> dict[str, Outcome]:
    """Run what is not done yet, until all is or the time is up; the outcomes of all parts, in their order.

    A part that failed is tried again, behind those that did not. Each part's output goes to a log of its name in
    `folder`.

    Args:
        parts: all of them, each behind what it needs.
        folder: of logs, and of the file that holds what is done.
        seconds: of this slice.
        environment: the commands' variables; None: this process's.
        code: a hash of what is run.
    """
    run = _Slice(Ledger.load(folder / "state.json"), folder, time.monotonic() + seconds, environment, code)
    failed = [part for part in parts if run.before(part).state == FAILED]
    for part in [*(part for part in parts if part not in failed), *failed]:
        run.settle(part, {each.name: each for each in parts})
    return {part.name: run.ledger.outcomes[part.name] for part in parts}


@dataclass
class _Slice:
    ledger: Ledger
    folder: Path
    ends: float
    environment: Mapping[str, str] | None
    code: str
    settled: set[str] = field(default_factory=set)

    def before(self, part: Part) -> Outcome:
        return self.ledger.outcomes.get(part.name, Outcome())

    def settle(self, part: Part, parts: Mapping[str, Part]) -> None:
        """Run a part if it is not done and what it needs is, and keep its outcome."""
        if part.name in self.settled:
            return
        self.settled.add(part.name)
        for need in part.needs:
            self.settle(parts[need], parts)
        before = self.before(part)
        if before.state != DONE:
            self.ledger.note(part.name, self._outcome(part, before))
        elif before.code != self._code_of(part) or (part.leaves is not None and not part.leaves.exists()):
            self.ledger.note(part.name, self._outcome(part, Outcome()))  # anew, its seconds too

    def _code_of(self, part: Part) -> str:
        return self.code if part.code is None else part.code

    def _outcome(self, part: Part, before: Outcome) -> Outcome:
        if part.without:
            return Outcome(SKIPPED, before.seconds, part.without)
        if missing := [need for need in part.needs if self.ledger.outcomes[need].state != DONE]:
            return Outcome(UNFINISHED, before.seconds, f"needs {' and '.join(missing)}")
        if time.monotonic() >= self.ends:
            stopped = before.state == UNFINISHED and before.seconds
            return Outcome(UNFINISHED, before.seconds, before.note if stopped else "no time was left")
        after = self._run(part, before.seconds if before.state == UNFINISHED else 0.0)
        after.seconds += before.seconds
        return after

    def _run(self, part: Part, spent: float) -> Outcome:
        """`spent`: seconds in slices before, at whose ends it was stopped."""
        started, log = time.monotonic(), self.folder / f"{part.name}.log"
        ends = min(self.ends, started + part.limit_s)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            for command in part.commands:
                code = _call(command, output.fileno(), ends - time.monotonic(), self.environment)
                seconds, told = time.monotonic() - started, " ".join(command)[:80]
                if code is None and (ends < self.ends or spent + seconds >= part.limit_s):
                    return Outcome(FAILED, seconds, f"took more than {part.limit_s:.0f} s: {told}; see {log.name}")
                if code is None:
                    return Outcome(UNFINISHED, seconds, f"stopped in: {told}")
                if code:
                    return Outcome(FAILED, seconds, f"code {code} from: {told}; see {log.name}")
        return Outcome(DONE, time.monotonic() - started, _last_line(log), self._code_of(part))


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

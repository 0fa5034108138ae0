"""Processes that are watched: what memory they take, and attacks run as a user runs them."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelproof.errors import PixelproofError

_STATUS = Path("/proc/self/status")
_WATCHED = """
import atexit, runpy
from pixelproof.benchmarks.process import peak_mib
atexit.register(lambda: print(peak_mib()))
runpy.run_module("pixelproof", run_name="__main__")
"""
"""Runs the command line, and prints the largest resident set in MiB at its end."""
_CALL = """
import importlib, json, sys
function, *task = json.load(sys.stdin)
module, _, name = function.partition(":")
print(json.dumps(getattr(importlib.import_module(module), name)(*task)))
"""
"""Calls the function that stdin names."""
_log = logging.getLogger("pixelproof")


def memory_is_told() -> bool:
    """Whether this system reports a process's memory."""
    return _STATUS.exists()


def peak_mib() -> float:
    """The largest resident set of this process so far, in MiB; only where `memory_is_told`."""
    # getrusage's figure would not do: it starts from that of the process that this one was forked from
    return _told("VmHWM")


def resident_mib() -> float:
    """The resident set of this process now, in MiB; only where `memory_is_told`."""
    return _told("VmRSS")


def measured_apart(what: str, function: str, task: Sequence[Any]) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """What `function` returns in a Python process of its own, which does nothing else.

    None where the system reports no process's memory, or where the process fails, which is logged with its cause.

    Args:
        what: is measured, in words.
        function: "module:name"; returns what JSON can hold.
        task: its arguments, likewise.
    """
    return json.loads(said) if memory_is_told() and (said := child_says(what, _CALL, [function, *task])) else None


def child_says(what: str, code: str, task: Sequence[Any] = ()) -> str | None:
    """The last line that the Python program `code` prints, given `task` as JSON on stdin; None as `measured_apart`."""
    asked = json.dumps(task)
    done = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, text=True, check=False)
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    if done.returncode or not said:
        cause = said[-1] if said else f"its process ended with {done.returncode} and no word"
        _log.warning("the memory of %s was not measured: %s", what, cause)
        return None
    return said[-1]


def _told(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Usage:
    """What a process took: wall time, and its largest resident set (interpreter and libraries included; Linux)."""

    seconds: float
    peak_mib: float | None


def attack_command(bundle: Path, data: Path | None, images: int, method: str, threads: int) -> list[str]:
    """`pixelproof attack` on the bare classifier of `bundle`, on the CPU; on shipped images where `data` is None."""
    source = ["--sample"] if data is None else ["--data", str(data)]
    command = [sys.executable, "-m", "pixelproof", "attack", str(bundle), *source, "--images", str(images)]
    return [*command, "--method", method, "--attack-backend", "cpu", "--threads", str(threads)]


def finish(command: list[str]) -> Usage:
    """Run what `attack_command` gave, and more arguments, to its end; `PixelproofError` where it fails."""
    started = time.perf_counter()
    watched = [command[0], "-c", _WATCHED, *command[3:]] if memory_is_told() else command
    done = subprocess.run(watched, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode} and no word"]
        raise PixelproofError(f"the attack failed: {said[-1]}. Next: {' '.join(command[2:])}")
    return Usage(time.perf_counter() - started, float(done.stdout.split()[-1]) if memory_is_told() else None)


def summary(folder: Path) -> dict[str, Any]:
    """Settings, conditions and figures of an attack, as `pixelproof attack -o folder` wrote them."""
    written: dict[str, Any] = json.loads((folder / "results.json").read_bytes())
    return written


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """Each image's outcome, as `pixelproof attack -o folder` wrote them."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]

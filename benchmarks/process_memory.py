"""What Linux tells of a process's memory, and children that measure their own."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_STATUS = Path("/proc/self/status")
_log = logging.getLogger("pixelproof")


def memory_is_told() -> bool:
    """Whether this system tells it."""
    return _STATUS.exists()


def peak_mib() -> float:
    """The largest resident set of this process so far, in MiB; only where `memory_is_told`."""
    # getrusage's figure would not do: it starts from that of the process that this one was forked from
    return _told("VmHWM")


def resident_mib() -> float:
    """The resident set of this process now, in MiB; only where `memory_is_told`."""
    return _told("VmRSS")


def child_says(what: str, arguments: Sequence[str], task: str = "") -> str | None:
    """The last line that a Python process prints; None where it fails, which is logged with its cause.

    Args:
        what: is measured, in words.
        arguments: of the interpreter.
        task: what it reads.
    """
    done = subprocess.run([sys.executable, *arguments], input=task, capture_output=True, text=True, check=False)
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    if done.returncode or not said:
        cause = said[-1] if said else f"its process ended with {done.returncode} and no word"
        _log.warning("the memory of %s was not measured: %s", what, cause)
        return None
    return said[-1]


def _told(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024

"""Attacks run as a user runs them: a process of its own, by the command line."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelproof.benchmarks.process_memory import memory_is_told
from pixelproof.errors import PixelproofError

_WATCHED = """
import atexit, runpy
from pixelproof.benchmarks.process_memory import peak_mib
atexit.register(lambda: print(peak_mib()))
runpy.run_module("pixelproof", run_name="__main__")
"""
"""Runs the command line, and prints the largest resident set in MiB at its end."""


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
        told = done.stderr.strip().splitlines() or [f"it ended with {done.returncode} and no word"]
        raise PixelproofError(f"the attack failed: {told[-1]}. Next: {' '.join(command[2:])}")
    return Usage(time.perf_counter() - started, float(done.stdout.split()[-1]) if memory_is_told() else None)


def summary(folder: Path) -> dict[str, Any]:
    """Settings, conditions and figures of an attack, as `pixelproof attack -o folder` wrote them."""
    written: dict[str, Any] = json.loads((folder / "results.json").read_bytes())
    return written


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """Each image's outcome, as `pixelproof attack -o folder` wrote them."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]

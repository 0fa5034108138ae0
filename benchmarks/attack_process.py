"""Attacks run as a user runs them: a process of its own, by the command line."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelproof.errors import PixelproofError

_MIB_IN_KIB = 1 / 1024


@dataclass(frozen=True)
class Usage:
    """What a process took: wall time, and its largest resident set (interpreter and libraries included)."""

    seconds: float
    peak_mib: float


def attack_command(bundle: Path, data: Path | None, images: int, method: str, threads: int) -> list[str]:
    """`pixelproof attack` on the bare classifier of `bundle`, on the CPU; on shipped images where `data` is None."""
    source = ["--sample"] if data is None else ["--data", str(data)]
    command = [sys.executable, "-m", "pixelproof", "attack", str(bundle), *source, "--images", str(images)]
    return [*command, "--method", method, "--attack-backend", "cpu", "--threads", str(threads)]


def finish(command: list[str]) -> Usage:
    """Run `command` to its end; `PixelproofError` with its last words where it fails."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise PixelproofError(f"the attack failed: {said.strip()[-300:]}. Next: {' '.join(command[1:])}")
    return Usage(time.perf_counter() - started, usage.ru_maxrss * _MIB_IN_KIB)


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """Each image's outcome, as `pixelproof attack -o folder` wrote them."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]

"""What a figure has to be read with: processor, provider, versions, seed, data, command."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pixelproof.errors import ONNX_RUNTIME, installed_wheels


@dataclass(frozen=True)
class Conditions:
    """Where and how something was measured."""

    provider: str
    """The execution provider that really ran."""
    cpu: str
    cores: int
    threads: int | None
    """CPU threads a call might use; None: one a core."""
    versions: dict[str, str]
    seed: int | None
    data: str
    command: str


_PACKAGES = ("pixelproof", "numpy", *ONNX_RUNTIME.values(), "torch")


def describe_conditions(
    *, provider: str, threads: int | None, data: str, command: str, seed: int | None = None
) -> Conditions:
    """This machine and its packages, with what only the caller knows."""
    return Conditions(provider, cpu_model(), usable_cores(), threads, _versions(), seed, data, command)


def now() -> str:
    """The time, UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    hidden = set(ONNX_RUNTIME.values()) - set(installed_wheels())
    for package in _PACKAGES:
        if package not in hidden and any(importlib.metadata.distributions(name=package)):
            versions[package] = importlib.metadata.version(package)
    return versions | {"system": f"{platform.system()} {platform.release()}"}


def describe(conditions: Conditions) -> dict[str, str]:
    """The conditions by name, as texts; those that were not noted are left out."""
    facts = {
        "command": conditions.command,
        "data": conditions.data,
        "execution provider": conditions.provider,
        "processor": f"{conditions.cpu}, {conditions.cores} cores",
        "threads": "one a core" if conditions.threads is None else str(conditions.threads),
        "seed": "" if conditions.seed is None else str(conditions.seed),
        "versions": ", ".join(f"{name} {version}" for name, version in conditions.versions.items()),
    }
    return {name: fact for name, fact in facts.items() if fact}

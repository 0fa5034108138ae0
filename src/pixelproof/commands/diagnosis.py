"""The findings of `pixelproof doctor`: interpreter, ONNX Runtime, extras, data and weights."""

import importlib.metadata
import json
import os
import platform
import re
import sys
from collections import defaultdict
from collections.abc import Iterator

import pixelproof
from pixelproof.commands.diagnosis_gpu import Finding, cuda_toolkit, nvidia_driver, pytorch
from pixelproof.errors import DataError, PixelproofError, in_clone, install_command
from pixelproof.files import sha256_file

BUNDLES = "bundles on the CPU"

_REQUIREMENT = re.compile(r"""(?P<name>[\w.-]+)(?P<bounds>[^;]*);.*extra == ["'](?P<extra>[\w-]+)["']""")


def diagnose() -> list[Finding]:
    """Everything that decides what pixelproof can do here, from the interpreter to the shipped weights."""
    return [
        *_machine(),
        *_onnxruntime(),
        *_extras(),
        pytorch(),
        nvidia_driver(),
        cuda_toolkit(),
        _data_set(),
        *_weights(),
    ]


def runs_bundles(findings: list[Finding]) -> bool:
    """Whether a session really ran on the CPU."""
    return any(finding.subject == BUNDLES and finding.state == "ok" for finding in findings)


def _machine() -> Iterator[Finding]:
    python = f"{platform.python_version()} ({sys.executable}), pixelproof {pixelproof.__version__}"
    yield Finding("Python", "ok", python)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("machine", "ok", f"{platform.platform()}, {usable} of {os.cpu_count()} cores usable")


def _onnxruntime() -> Iterator[Finding]:
    from pixelproof.runtime.backends import BACKENDS, fault
    from pixelproof.runtime.backends.onnxruntime_cpu import import_onnxruntime

    try:
        runtime = import_onnxruntime()
        providers = ", ".join(runtime.get_available_providers())
        yield Finding("ONNX Runtime", "ok", f"{runtime.__version__}, built with {providers}")
    except PixelproofError as error:
        yield _fault(BUNDLES, "broken", error)
        return
    for name in reversed(BACKENDS):
        subject = BUNDLES if name == "cpu" else f"backend '{name}'"
        found = fault(name)
        if found is None:
            backend = BACKENDS[name]
            does = "engines can run by" if backend.runs_engines else "a session ran on"
            yield Finding(subject, "ok", f"{does} {backend.provider}")
        else:
            yield _fault(subject, "broken" if name == "cpu" else "absent", found)


def _fault(subject: str, state: str, error: PixelproofError) -> Finding:
    remedy = error.next_step
    if remedy.startswith("pixelproof doctor"):  # that is where the user is
        cpu, gpu = "pip install --force-reinstall onnxruntime", "nvidia-smi tells whether the GPU works"
        remedy = cpu if subject == BUNDLES else gpu
    return Finding(subject, state, error.reason, remedy)


def _extras() -> Iterator[Finding]:
    """The optional packages, as the installed distribution declares them, by extra."""
    extras: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for requirement in importlib.metadata.requires("pixelproof") or []:
        if match := _REQUIREMENT.match(requirement):
            extras[match["extra"]].append((match["name"], match["bounds"]))
    for extra, packages in extras.items():
        described = [_package(name, bounds) for name, bounds in packages]
        missing = any(not fits for fits, _ in described)
        found = ", ".join(text for _, text in described)
        remedy = install_command(extra) if missing else ""
        yield Finding(f"extra '{extra}'", "absent" if missing else "ok", found, remedy)


def _package(name: str, bounds: str) -> tuple[bool, str]:
    """Whether the package is there in a version new enough, and how to say it."""
    version = _version(name)
    if version is None and name == "onnxruntime" and _version("onnxruntime-gpu"):
        return True, "onnxruntime-gpu in onnxruntime's place"
    if version is None:
        return False, f"no {name}"
    least = re.search(r">=([\d.]+)", bounds)
    if least and _numbers(version) < _numbers(least[1]):
        return False, f"{name} {version} (needs {least[1]})"
    return True, f"{name} {version}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]


def _data_set() -> Finding:
    from pixelproof.models.data.locate import locate

    try:
        return Finding("CIFAR-10", "ok", str(locate()))
    except DataError as error:
        return Finding("CIFAR-10", "absent", error.reason, "pixelproof data fetch")


def _weights() -> Iterator[Finding]:
    from pixelproof.models import CLASSIFIERS, PURIFIERS, provenance, weights_path

    for name in (*CLASSIFIERS, *PURIFIERS):
        path = weights_path(name)
        if path is None:
            continue
        subject = f"weights of '{name}'"
        restore = f"git checkout -- 'models/weights/{name}.*'"
        remedy = in_clone(f"{restore} && pip install --force-reinstall --no-deps .")
        try:
            whole = sha256_file(path) == provenance(name)["weights_sha256"]
        except FileNotFoundError as error:
            yield Finding(subject, "broken", f"no file '{error.filename}'", remedy)
        except (KeyError, json.JSONDecodeError):
            yield Finding(subject, "broken", f"the JSON beside '{path}' is damaged", remedy)
        else:
            yield Finding(subject, "ok" if whole else "broken", str(path), "" if whole else remedy)

"""`pixelproof doctor`: what this machine can run, and the command that mends what it can't."""

import ctypes
import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

import pixelproof
from pixelproof.commands.options import AsJson, print_table
from pixelproof.errors import DataError, PixelproofError, in_clone, install_command
from pixelproof.files import sha256_file

BUNDLES = "bundles on the CPU"

_REQUIREMENT = re.compile(r"""(?P<name>[\w.-]+)(?P<bounds>[^;]*);.*extra == ["'](?P<extra>[\w-]+)["']""")
_EXPORT = "pip install 'pixelproof[export]'"
_DRIVER = "with an NVIDIA GPU: install its driver from https://www.nvidia.com/drivers"
_TOOLKIT = "to compile CUDA C++: install https://developer.nvidia.com/cuda-downloads"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is "ok", "absent" (not everybody needs it) or "broken"."""

    subject: str
    state: str
    found: str
    remedy: str = ""


def doctor(
    as_json: AsJson = False,
) -> None:
    """Say what this machine can run and how to mend the rest; exit code 1 when bundles do not run on its CPU."""
    findings = diagnose()
    works = runs_bundles(findings)
    if as_json:
        summary = {"runs_bundles": works, "findings": [dataclasses.asdict(finding) for finding in findings]}
        typer.echo(json.dumps(summary, indent=2))
    else:
        print_table((finding.state, finding.subject, finding.found) for finding in findings)
        remedies = [(finding.subject, finding.remedy) for finding in findings if finding.remedy]
        if remedies:
            typer.echo("\nto mend or add:")
            print_table(remedies)
        typer.echo(f"\nbundles {'run' if works else 'do not run'} on this machine's CPU")
    if not works:
        raise typer.Exit(1)


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
        cpu, gpu = "pip install --force-reinstall onnxruntime", "nvidia-smi shows whether the GPU works"
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
    from pixelproof.models.data.cifar10 import locate

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


def pytorch() -> Finding:
    """PyTorch's version, whether it is a CUDA build, and whether it sees a GPU. Imports it: it may be broken."""
    try:
        import torch
    except ModuleNotFoundError:
        return Finding("PyTorch", "absent", "needed to train and export, not to run bundles", _EXPORT)
    except (ImportError, OSError) as error:
        return Finding("PyTorch", "broken", f"does not load: {error}", "pip install --force-reinstall torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver too old for this build is reported below
        sees = torch.cuda.is_available()
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU alone"
    gpus = f", {torch.cuda.device_count()} GPUs usable" if sees else ", no GPU usable"
    return Finding("PyTorch", "ok", f"{torch.__version__}, {build}{gpus if torch.version.cuda else ''}")


def nvidia_driver() -> Finding:
    """Whether NVIDIA's driver library loads, the CUDA version that it supports, and its GPUs."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return Finding("NVIDIA driver", "absent", f"{name} does not load; needed for a GPU alone", _DRIVER)
    version, gpus = ctypes.c_int(), ctypes.c_int()
    if code := driver.cuInit(0) or driver.cuDriverGetVersion(ctypes.byref(version)):
        return Finding("NVIDIA driver", "broken", f"{name} loads, but CUDA reports error {code}", _DRIVER)
    driver.cuDeviceGetCount(ctypes.byref(gpus))
    cuda = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return Finding("NVIDIA driver", "ok", f"supports {cuda}: {', '.join(_gpu_names(driver, gpus.value)) or 'no GPU'}")


def cuda_toolkit() -> Finding:
    """The CUDA compiler's path and version."""
    folders = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")] + ["/usr/local/cuda"]
    places = os.pathsep.join(str(Path(folder) / "bin") for folder in folders if folder)
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=places)
    if nvcc is None:
        return Finding("CUDA toolkit", "absent", "no nvcc in $PATH, $CUDA_HOME or /usr/local/cuda", _TOOLKIT)
    try:
        answer = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("CUDA toolkit", "broken", f"{nvcc} does not run: {error}", _TOOLKIT)
    release = re.search(r"release ([\d.]+)", answer)
    return Finding("CUDA toolkit", "ok", f"{release[1] if release else 'of an unknown version'} ({nvcc})")


def _gpu_names(driver: ctypes.CDLL, count: int) -> list[str]:
    name = ctypes.create_string_buffer(256)
    names = []
    for device in range(count):
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    return names

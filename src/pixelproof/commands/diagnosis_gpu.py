"""The findings of `pixelproof doctor` that concern GPUs: PyTorch's build, NVIDIA's driver, the CUDA toolkit."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is "ok", "absent" (not everybody needs it) or "broken"."""

    subject: str
    state: str
    found: str
    remedy: str = ""


def pytorch() -> Finding:
    """PyTorch's version, whether it is a CUDA build, and whether it sees a GPU. Imports it: it may be broken."""
    try:
        import torch
    except ModuleNotFoundError:
        return Finding("PyTorch", "absent", "needed to train and export, not to run bundles", _EXPORT)
    except (ImportError, OSError) as error:
        return Finding("PyTorch", "broken", f"does not load: {error}", "pip install --force-reinstall torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver too old for this build is told below
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
        told = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("CUDA toolkit", "broken", f"{nvcc} does not run: {error}", _TOOLKIT)
    release = re.search(r"release ([\d.]+)", told)
    return Finding("CUDA toolkit", "ok", f"{release[1] if release else 'of a version not told'} ({nvcc})")


def _gpu_names(driver: ctypes.CDLL, count: int) -> list[str]:
    name = ctypes.create_string_buffer(256)
    names = []
    for device in range(count):
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    return names


_EXPORT = "pip install 'pixelproof[export]'"
_DRIVER = "with an NVIDIA GPU: install its driver from https://www.nvidia.com/drivers"
_TOOLKIT = "to compile CUDA C++: install https://developer.nvidia.com/cuda-downloads"

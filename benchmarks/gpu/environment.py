"""The environment of a GPU run: a virtual one over the system's packages, as those hold PyTorch with CUDA."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pixelproof
from pixelproof.benchmarks.gpu.slices import Part

PACKAGES = {
    "typer": "typer",
    "rich": "rich",
    "PIL": "pillow",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
    "jinja2": "jinja2",
    "pytest": "pytest",
    "skimage": "scikit-image",
}
"""What is installed where it is missing, by module."""
ENVIRONMENT = "environment"
_SEE_PARENT = """
import sys, sysconfig, pathlib
if sys.argv[1] not in sys.path:
    pathlib.Path(sysconfig.get_path("purelib"), "parent.pth").write_text(sys.argv[1])
"""
"""Where this runs in a virtual environment, its packages are not the system's: a new one is told of them."""
_LIMIT_S = 420.0  # PyCUDA builds for two to four minutes
_CUDA = ("cuda-bindings>=13.0,<14", "nvidia-cuda-nvrtc>=13.0,<13.1")


def toolkit() -> Path | None:
    """The CUDA toolkit's folder; None where there is none."""
    nvcc = shutil.which("nvcc")
    named = os.environ.get("CUDA_ROOT"), os.environ.get("CUDA_HOME"), nvcc and str(Path(nvcc).resolve().parent.parent)
    roots = [Path(root) for root in (*named, "/usr/local/cuda") if root]
    return next((root for root in roots if (root / "include" / "cuda.h").is_file()), None)


def environment_part(folder: Path, wheels: Path | None) -> Part:
    """Makes `folder`/venv and installs what is missing, from `wheels` alone where that is given."""
    python = str(venv_python(folder))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    offline = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if has_onnxruntime_gpu(wheels) and not _is_installed():  # over the system's, the CPU's perhaps, and never beside it
        missing = [package for package in missing if package != "onnxruntime"] + ["onnxruntime-gpu"]
    commands = [
        [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(folder / "venv")],
        [python, "-c", _SEE_PARENT, sysconfig.get_path("purelib")],
    ]
    if missing:
        commands.append([*pip, *offline, *missing])
    if importlib.util.find_spec("cuda") is None:
        commands.append([*pip, *offline, *_CUDA])
    if importlib.util.find_spec("pycuda") is None:
        built = str(folder / "wheels")  # which takes minutes: a wheel that is kept there is not built again
        build = [*pip[:-2], "wheel", "--quiet", *offline, "--find-links", built]
        commands.append([*pip, *offline, "setuptools", "wheel"])
        commands.append([*build, "--no-deps", "--no-build-isolation", "--wheel-dir", built, "pycuda"])
        commands.append([*pip, *offline, "--find-links", built, "pycuda"])
    commands.append([*pip, *offline, "--no-deps", "--no-build-isolation", "--editable", "."])
    asked = json.dumps([commands, Path("pyproject.toml").read_text()])
    digest = hashlib.sha256(asked.encode()).hexdigest()
    return Part(ENVIRONMENT, commands, leaves=venv_python(folder), code=digest, limit_s=_LIMIT_S)


def has_onnxruntime_gpu(wheels: Path | None) -> bool:
    """Whether ONNX Runtime for a GPU is here, or can be had: a folder of wheels may do without it, as it is large."""
    return _is_installed() or wheels is None or any(wheels.glob("onnxruntime_gpu-*.whl"))


def _is_installed() -> bool:
    return any(importlib.metadata.distributions(name="onnxruntime-gpu"))


def code_sha256() -> str:
    """A hash of the program, its tests and the shipped weights: of what a part that is done was run with."""
    digest, package = hashlib.sha256(), Path(pixelproof.__file__).parent
    for root in (package, package.parents[1] / "tests"):
        for folder, folders, names in os.walk(root, followlinks=True):
            folders.sort()
            for name in sorted(names):
                if name.endswith((".py", ".cu", ".cuh", ".h", ".safetensors")):
                    digest.update(name.encode() + (Path(folder) / name).read_bytes())
    return digest.hexdigest()


def venv_python(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / "venv" / "bin" / "python"


def build_variables(folder: Path) -> dict[str, str]:
    """The process's variables, with what PyCUDA's build asks for: the toolkit, and no cuRAND."""
    home = folder.resolve() / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".aksetup-defaults.py").write_text("CUDA_ENABLE_CURAND = False\n")
    variables = {**os.environ, "HOME": str(home)}
    if packages := _nvidia_libraries():  # what ONNX Runtime's provider is linked with
        variables["LD_LIBRARY_PATH"] = os.pathsep.join([*packages, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":")
    root = toolkit()
    if root is not None:
        included = [str(root / "include"), os.environ.get("CPATH", "")]
        libraries = [str(root / "lib64"), str(root / "lib64" / "stubs"), os.environ.get("LIBRARY_PATH", "")]
        variables |= {
            "CUDA_ROOT": str(root),
            "CPATH": os.pathsep.join(filter(None, included)),
            "LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
        }
    return variables


def _nvidia_libraries() -> list[str]:
    """Folders of CUDA's libraries that came by pip, which are not found from an environment over theirs."""
    found = importlib.util.find_spec("nvidia")
    folders = [] if found is None else found.submodule_search_locations or []
    return sorted(str(path) for folder in folders for path in Path(folder).glob("*/lib"))

"""What a GPU run consists of, in its order."""

import importlib.util
import shutil
from pathlib import Path

from pixelproof.benchmarks.gpu.environment import environment_part, toolkit, venv_python
from pixelproof.benchmarks.gpu.slices import Part

_NETWORKS = ("lenet", "resnet", "pure_cnn", "nin", "densenet", "wide_resnet")
_COPY_ADVERSARIAL = """
import shutil, sys
from pixelproof.models.data.adversarial import ADVERSARIAL
from pixelproof.models.data.sample import SAMPLE_FOLDER
shutil.copy(SAMPLE_FOLDER / ADVERSARIAL, sys.argv[1])
"""
_DE_IMAGES = {"densenet": 200, "wide_resnet": 200}


def all_parts(folder: Path, wheels: Path | None, data: Path | None) -> list[Part]:
    """The parts of a run whose files go into `folder`.

    Args:
        folder: of logs, bundles and results.
        wheels: packages for a machine without network; None: they come from the index.
        data: CIFAR-10; None leaves out what needs more than the shipped images.
    """
    python = str(venv_python(folder))
    cli = [python, "-m", "pixelproof"]
    networks = [name for name in _NETWORKS if Path(f"models/weights/{name}.safetensors").exists()]
    lacking = "" if data else "needs the data set: --data FOLDER"
    parts = [
        environment_part(folder, wheels),
        Part("tests", [[python, "-m", "pytest", "-m", "gpu", "-rs", "-q", "-p", "no:cacheprovider"]]),
        _sanitizer(python),
        Part("bundles", [_export(cli, folder, name) for name in networks]),
    ]
    parts += [_bench(cli, folder, name, what) for what in ("kernels", "latency") for name in networks]
    chosen = ["--data", str(data)] if data else []
    train = [*cli, "train", "--all", "--device", "cuda", *chosen]
    parts.append(Part("train", [train], without=lacking))
    parts.append(_adversarial(python, folder))
    for method in ("de", "strongest"):
        for name in networks:
            images = _DE_IMAGES.get(name, 1000) if method == "de" else 1000
            parts.append(_defense(cli, folder, name, method, images, chosen, lacking))
    return parts


def _bundle(folder: Path, name: str) -> str:
    return str(folder / "bundles" / f"{name}-gated")


def _export(cli: list[str], folder: Path, name: str) -> list[str]:
    return [*cli, "export", name, "--purifier", "gated", "-o", _bundle(folder, name), "--force"]


def _bench(cli: list[str], folder: Path, name: str, what: str) -> Part:
    results = str(folder / f"{name}-{what}.json")
    return Part(f"{what}-{name}", [[*cli, "bench", what, _bundle(folder, name), "-o", results]])


def _sanitizer(python: str) -> Part:
    root = toolkit()
    found = shutil.which("compute-sanitizer") or (root and shutil.which(str(root / "bin" / "compute-sanitizer")))
    program = [python, "-m", "pixelproof.benchmarks.gpu.sanitised"]
    # cuda-bindings asks the driver for functions that it may not have, which memcheck would call errors
    tools = (["memcheck", "--report-api-errors", "no"], ["initcheck"])
    commands = [[str(found), "--tool", *tool, "--error-exitcode", "9", *program] for tool in tools]
    return Part("sanitizer", commands, without="" if found else "no compute-sanitizer: it comes with the CUDA toolkit")


def _adversarial(python: str, folder: Path) -> Part:
    """Finds the shipped adversarial images, and leaves a copy of their file among the results."""
    records = ["--records", str(folder / "adversarial")]
    find = [python, "-m", "pixelproof.benchmarks.adversarial_sample", "--attack-backend", "cuda", *records]
    return Part("adversarial", [find, [python, "-c", _COPY_ADVERSARIAL, str(folder)]])


def _defense(
    cli: list[str], folder: Path, name: str, method: str, images: int, chosen: list[str], lacking: str
) -> Part:
    target = folder / f"{name}-{method}"
    command = [*cli, "bench", "defense", _bundle(folder, name), "--method", method, "--images", str(images), *chosen]
    command += ["--attack-backend", "cuda", "--records", str(folder / "records"), "-o", f"{target}.json"]
    return Part(f"{method}-{name}", [command], without=lacking)


def missing_engines() -> list[str]:
    """What a reader of the table has to know of TensorRT and ONNX Runtime here."""
    notes = []
    if not any(importlib.util.find_spec(module) for module in ("tensorrt", "tensorrt_rtx")):
        notes.append("TensorRT is not installed: no engine was built or run")
    if importlib.util.find_spec("onnxruntime") is None:
        notes.append("ONNX Runtime was not installed before this run: PyTorch is the network on the GPU")
    return notes

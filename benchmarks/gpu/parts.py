"""What a GPU run consists of, in its order."""

import importlib.util
import shutil
from pathlib import Path

from pixelproof.benchmarks.gpu.environment import (
    ENVIRONMENT,
    environment_part,
    has_onnxruntime_gpu,
    toolkit,
    venv_python,
)
from pixelproof.benchmarks.gpu.slices import Part

_NETWORKS = ("lenet", "resnet", "pure_cnn", "nin", "densenet", "wide_resnet")
_COPY_ADVERSARIAL = """
import shutil, sys
from pixelproof.models.data.adversarial import ADVERSARIAL
from pixelproof.models.data.sample import SAMPLE_FOLDER
shutil.copy(SAMPLE_FOLDER / ADVERSARIAL, sys.argv[1])
"""
_DE_IMAGES = {"densenet": 200, "wide_resnet": 200}
_LIMIT_S = 240.0  # of what cannot go on where it stopped
_NO_PROVIDER = "no ONNX Runtime for a GPU (onnxruntime-gpu) and no TensorRT: only the CPU would be timed"


def all_parts(folder: Path, wheels: Path | None, data: Path | None) -> list[Part]:
    """The parts of a run whose files go into `folder`, short ones first.

    Args:
        folder: of logs, bundles and results.
        wheels: packages for a machine without network; None: they come from the index.
        data: CIFAR-10; None leaves the training out, and measures defenses on the 200 shipped images.
    """
    python = str(venv_python(folder))
    cli = [python, "-m", "pixelproof"]
    networks = [name for name in _NETWORKS if Path(f"models/weights/{name}.safetensors").exists()]
    lacking = "" if data else "needs the data set: --data FOLDER"
    chosen = ["--data", str(data)] if data else ["--sample"]
    train = [*cli, "train", "--all", "--device", "cuda", *chosen]
    return [
        environment_part(folder, wheels),
        _tests(python),
        _sanitizer(python),
        *(_export(cli, folder, name) for name in networks),
        *(_kernels(cli, folder, name) for name in networks),
        *(_latency(cli, folder, name, wheels) for name in networks),
        _adversarial(python, folder),
        *(_defense(cli, folder, name, "de", chosen) for name in networks),
        *(_defense(cli, folder, name, "strongest", chosen) for name in networks),
        Part("train", [train], without=lacking, needs=[ENVIRONMENT]),
    ]


def _tests(python: str) -> Part:
    """PIXELPROOF_GPU: tests that find no GPU would be skipped, and the part be done without one having run."""
    pytest = [python, "-m", "pytest", "-m", "gpu", "-rs", "-q", "-p", "no:cacheprovider"]
    command = ["env", "PIXELPROOF_GPU=1", *pytest, "--continue-on-collection-errors"]
    return Part("tests", [command], needs=[ENVIRONMENT], limit_s=_LIMIT_S)


def _sanitizer(python: str) -> Part:
    root = toolkit()
    found = shutil.which("compute-sanitizer") or (root and shutil.which(str(root / "bin" / "compute-sanitizer")))
    program = [python, "-m", "pixelproof.benchmarks.gpu.sanitized"]
    # cuda-bindings asks the driver for functions that it may not have, which memcheck would call errors
    tools = (["memcheck", "--report-api-errors", "no"], ["initcheck"])
    commands = [[str(found), "--tool", *tool, "--error-exitcode", "9", *program] for tool in tools]
    without = "" if found else "no compute-sanitizer: it comes with the CUDA toolkit"
    return Part("sanitizer", commands, without=without, needs=[ENVIRONMENT], limit_s=_LIMIT_S)


def _bundle(folder: Path, name: str) -> Path:
    return folder / "bundles" / f"{name}-gated"


def _export(cli: list[str], folder: Path, name: str) -> Part:
    bundle = _bundle(folder, name)
    command = [*cli, "export", name, "--purifier", "gated", "-o", str(bundle), "--force"]
    manifest = bundle / "bundle.json"
    return Part(f"bundle-{name}", [command], needs=[ENVIRONMENT], leaves=manifest, limit_s=_LIMIT_S)


def _kernels(cli: list[str], folder: Path, name: str) -> Part:
    command = [*cli, "bench", "kernels", str(_bundle(folder, name)), "-o", str(folder / f"{name}-kernels.json")]
    return Part(f"kernels-{name}", [command], needs=[ENVIRONMENT, f"bundle-{name}"], limit_s=_LIMIT_S)


def _latency(cli: list[str], folder: Path, name: str, wheels: Path | None) -> Part:
    command = [*cli, "bench", "latency", str(_bundle(folder, name)), "--batch", "1,64", "--rounds", "30"]
    command += ["-o", str(folder / f"{name}-latency.json")]
    without = "" if has_onnxruntime_gpu(wheels) or _tensorrt_here() else _NO_PROVIDER
    needs = [ENVIRONMENT, f"bundle-{name}"]
    return Part(f"latency-{name}", [command], without=without, needs=needs, limit_s=_LIMIT_S)


def _adversarial(python: str, folder: Path) -> Part:
    """Finds the shipped adversarial images, and leaves a copy of their file among the results."""
    records = ["--records", str(folder / "adversarial")]
    find = [python, "-m", "pixelproof.benchmarks.adversarial_sample", "--attack-backend", "cuda", *records]
    return Part("adversarial", [find, [python, "-c", _COPY_ADVERSARIAL, str(folder)]], needs=[ENVIRONMENT])


def _defense(cli: list[str], folder: Path, name: str, method: str, chosen: list[str]) -> Part:
    """On as many of the first images as there are, at most 1,000."""
    images = _DE_IMAGES.get(name, 1000) if method == "de" else 1000
    of = "-sample" if "--sample" in chosen else ""
    command = [*cli, "bench", "defense", str(_bundle(folder, name)), "--method", method, "--images", str(images)]
    command += [*chosen, "--attack-backend", "cuda", "--records", str(folder / "records")]
    command += ["-o", str(folder / f"{name}-{method}{of}.json")]
    return Part(f"{method}-{name}{of}", [command], needs=[ENVIRONMENT, f"bundle-{name}"])


def missing_engines() -> list[str]:
    """What a reader of the table has to know of TensorRT and ONNX Runtime here."""
    notes = []
    if not _tensorrt_here():
        notes.append("TensorRT is not installed: no engine was built or run")
    if importlib.util.find_spec("onnxruntime") is None:
        notes.append("ONNX Runtime was not installed before this run: PyTorch is the network on the GPU")
    return notes


def _tensorrt_here() -> bool:
    return any(importlib.util.find_spec(module) for module in ("tensorrt", "tensorrt_rtx"))

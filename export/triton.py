"""A model repository for NVIDIA's Triton Inference Server from a bundle.

Source: Triton's documentation, "Model repository" and "Model configuration". A model is a folder, in it `config.pbtxt`,
the labels, and a folder a version with the graph or the engine.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pixelproof.errors import UsageError, quote
from pixelproof.files import atomic_folder, is_free, write_bytes, write_text
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE
from pixelproof.runtime.engines import read_engine
from pixelproof.runtime.manifest import MANIFEST

CONFIG, LABELS, VERSION = "config.pbtxt", "labels.txt", "1"
_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32", "int64": "TYPE_INT64"}
_PLATFORMS = {".onnx": ("onnxruntime_onnx", "model.onnx"), ".engine": ("tensorrt_plan", "model.plan")}


def export_triton(
    bundle: Path,
    output: Path,
    *,
    engine: str | None = None,
    largest_batch: int = 64,
    delay_us: int = 1000,
    force: bool = False,
) -> Path:
    """Add a model, named after the bundle's folder, to a repository, with dynamic batching.

    What else the repository holds stays as it is.

    Args:
        bundle: its folder.
        output: the repository's folder, to be given to `tritonserver --model-repository`; made where it is missing.
        engine: the name of one of the bundle's engines, to serve in place of its ONNX graph.
        largest_batch: images a call at most; with an engine no more than its profile takes.
        delay_us: microseconds that a request may wait for others to share its batch.
        force: replace the repository's model of that name, and nothing else.

    Returns:
        The model's folder.

    Raises:
        UsageError: an `output` that is no repository or has such a model already, an engine that the bundle does not
            have or Triton does not run, or an unfit batch or delay.
        BundleError: a bundle or an engine that is missing or damaged.
    """
    opened = read_bundle(bundle)
    name = bundle.resolve().name
    _check_place(output, name, force)
    content, suffix, purifies = _model(opened, engine, largest_batch)
    if largest_batch < 1 or delay_us < 0:
        raise UsageError(
            f"expected a largest batch of 1 or more and a delay of 0 or more, got {largest_batch} and {delay_us}. "
            "Next: --largest-batch 64 --delay-us 1000"
        )
    platform, file = _PLATFORMS[suffix]
    config = configuration(opened, name, platform, purifies=purifies, largest_batch=largest_batch, delay_us=delay_us)
    try:
        with atomic_folder(output / name, replace=force) as folder:
            write_bytes(folder / VERSION / file, content)
            write_text(folder / LABELS, "\n".join(opened.class_names) + "\n")
            write_text(folder / CONFIG, config)
    except FileExistsError:  # it came while we worked
        raise _exists(output, name) from None
    return output / name


def configuration(
    bundle: Bundle, name: str, platform: str, *, purifies: bool, largest_batch: int, delay_us: int
) -> str:
    """`config.pbtxt`: the tensors of the bundle's manifest, without their batch axis, and dynamic batching."""
    outputs = bundle.manifest["outputs"]
    if not purifies:
        outputs = [spec for spec in outputs if spec["name"] == "probabilities"]
    usual = sorted({2 ** math.ceil(math.log2(largest_batch) / 2), largest_batch})
    lines = [
        f"name: {_quoted(name)}",
        f"platform: {_quoted(platform)}",
        f"max_batch_size: {largest_batch}",
        *_tensors("input", bundle.manifest["inputs"]),
        *_tensors("output", outputs),
        "dynamic_batching {",
        f"  preferred_batch_size: [ {', '.join(map(str, usual))} ]",
        f"  max_queue_delay_microseconds: {delay_us}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _check_place(output: Path, name: str, force: bool) -> None:
    """`UsageError` where no model can be added to `output`, or where more than a model of that name would be lost."""
    for folder in (output, *output.parents):
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"'{folder}' is a file, and a model repository is a folder. Next: another -o FOLDER")
    for file, what in ((MANIFEST, "a bundle"), (CONFIG, "a model of Triton's")):
        if (output / file).is_file():
            raise UsageError(
                f"'{output}' is {what} (it holds a {file}), and not a model repository, which holds a folder a model. "
                "Next: another -o FOLDER"
            )
    if is_free(output / name):
        return
    if not (output / name / CONFIG).is_file():
        raise UsageError(
            f"'{output / name}' exists and is no model of Triton's (it holds no {CONFIG}), which is all that is "
            "replaced. Next: another -o FOLDER"
        )
    if not force:
        raise _exists(output, name)


def _exists(output: Path, name: str) -> UsageError:
    return UsageError(
        f"model '{name}' is in '{output}' already. Next: --force to replace that model alone, or another -o FOLDER"
    )


def _model(bundle: Bundle, engine: str | None, largest_batch: int) -> tuple[bytes, str, bool]:
    """What is served, its suffix, and whether it purifies."""
    if engine is None:
        file = PIPELINE if bundle.has_purifier else CLASSIFIER
        return bundle.files[file], ".onnx", bundle.has_purifier
    found = read_engine(bundle, engine)
    if found.sidecar["flavour"] != "tensorrt":
        raise UsageError(
            f"Triton runs engines of TensorRT, and '{engine}' is of {found.sidecar['flavour']}. "
            f"Next: leave out --engine, or pixelproof build-engine {quote(bundle.path)} --flavor tensorrt"
        )
    if largest_batch > found.profile[2]:
        raise UsageError(
            f"engine '{engine}' takes batches of {found.profile[2]} at most, got {largest_batch}. "
            f"Next: --largest-batch {found.profile[2]}"
        )
    return found.content, ".engine", found.part == "pipeline"


def _tensors(kind: str, specs: Sequence[dict[str, Any]]) -> list[str]:
    """The tensors in Triton's words; one of rank 1 has no axis but the batch's, which Triton writes as a reshape."""
    lines = [f"{kind} ["]
    for number, spec in enumerate(specs, 1):
        sides = spec["shape"][1:]
        fields = [f"name: {_quoted(spec['name'])}", f"data_type: {_TYPES[spec['dtype']]}"]
        fields += [f"dims: [ {', '.join(map(str, sides))} ]"] if sides else ["dims: [ 1 ]", "reshape { shape: [ ] }"]
        if spec["name"] == "probabilities":
            fields.append(f"label_filename: {_quoted(LABELS)}")
        lines += ["  {", *(f"    {field}" for field in fields), "  }" + ("," if number < len(specs) else "")]
    return [*lines, "]"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

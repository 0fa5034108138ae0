"""The bundle's manifest, and what its ONNX files say of themselves."""

import datetime
import importlib
import json
import platform
from pathlib import Path
from typing import Any

import pixelproof
from pixelproof.export.classifiers import Classifier
from pixelproof.export.interface import Interface
from pixelproof.export.precision import Precision
from pixelproof.export.purifiers import Purifier
from pixelproof.files import sha256_file
from pixelproof.runtime.manifest import FORMAT, FORMAT_VERSION

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python and of every package that has a part in an export."""
    packages = {name: str(importlib.import_module(name).__version__) for name in _PACKAGES}
    return {"python": platform.python_version()} | packages


def graph_metadata(
    interface: Interface, classifier: Classifier, purifier: Purifier | None, precision: Precision
) -> dict[str, str]:
    """What an ONNX file says of itself, JSON where it is no plain text; the same for the same export each time."""
    facts = {
        "class_names": interface.class_names,
        "normalisation": _normalization(interface),
        "classifier": _classifier(interface, classifier),
        "purifier": purifier and {"name": purifier.name, "weights_sha256": purifier.weights_sha256},
        "precision": {"classifier": precision.name, "purifier": "fp32", "target": precision.target},
        "versions": versions(),
    }
    return {"pixelproof": pixelproof.__version__} | {
        name: json.dumps(fact, ensure_ascii=False, sort_keys=True) for name, fact in facts.items()
    }


def manifest(
    folder: Path,
    interface: Interface,
    classifier: Classifier,
    purifier: Purifier | None,
    precision: Precision,
) -> dict[str, Any]:
    """The manifest of the ONNX files in `folder`, before they were verified."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "pixelproof": pixelproof.__version__,
        "precision": precision.name,
        "target": precision.target,
        "inputs": interface.inputs_spec(),
        "outputs": interface.outputs_spec(purifies=purifier is not None),
        "image_size": list(interface.size),
        "class_names": list(interface.class_names),
        "classifier": _classifier(interface, classifier),
        "purifier": purifier
        and {
            "name": purifier.name,
            "weights_sha256": purifier.weights_sha256,
            "suspicion_is_detector": False,
        },
        "versions": versions(),
        "files": {
            path.name: {"sha256": sha256_file(path), "nbytes": path.stat().st_size}
            for path in sorted(folder.glob("*.onnx"))
        },
        "verification": {},
    }


def _classifier(interface: Interface, classifier: Classifier) -> dict[str, Any]:
    return {
        "name": classifier.name,
        "source": classifier.source,
        "weights_sha256": classifier.weights_sha256,
        "outputs": interface.outputs,
        "normalisation": _normalization(interface),
    }


def _normalization(interface: Interface) -> dict[str, list[float]] | None:
    """Of the 0..1 image; None where the classifier normalizes inside, or not at all."""
    if interface.normalization is None:
        return None
    mean, std = interface.normalization
    return {"mean": list(mean), "std": list(std)}

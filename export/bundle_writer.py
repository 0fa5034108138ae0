"""Writes a bundle's folder: its graphs, verified, and the manifest with what was measured."""

import datetime
import importlib
import json
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

import pixelproof
from pixelproof.errors import UsageError
from pixelproof.export.decisions import CleanImages, Decided, clean_figures, compare_decisions, decide, purification
from pixelproof.export.graph import fuse, serialized
from pixelproof.export.own_images import Calibration
from pixelproof.export.precision import Precision, lowered
from pixelproof.export.reference import Reference, resized
from pixelproof.export.verification import verify
from pixelproof.files import sha256_file, write_bytes, write_json
from pixelproof.models.data import ImageSet, adversarial_sample
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE
from pixelproof.runtime.manifest import FORMAT, FORMAT_VERSION, MANIFEST

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


@dataclass(frozen=True)
class BundleWriter:
    """What a bundle is made of.

    Attributes:
        reference: the networks, and how they are joined.
        precision: of the classifier.
        calibration: for int8.
        test: clean images to measure on; the shipped sample where None.
        say: called with what is being done.
    """

    reference: Reference
    precision: Precision
    calibration: Calibration
    test: ImageSet | None
    say: Callable[[str], None]

    def write(self, folder: Path) -> None:
        """Write the bundle into `folder`; `ExportError` where it does not do what the networks do, or not enough."""
        reference = self.reference
        self.say("exporting the classifier")
        body = reference.classifier.to_onnx(reference.interface.size)
        front = None
        if reference.purifier is not None:
            self.say("exporting the purifier")
            front = reference.purifier.to_onnx(reference.interface.size)
        clean = CleanImages.of(self.test, reference.interface)
        with tempfile.TemporaryDirectory(prefix="pixelproof-") as other:
            full = folder if self.precision.is_full else Path(other)
            facts = self._write_graphs(full, body, front, Precision())
            self.say(f"verifying on {len(reference.images)} images")
            verified = verify(full, reference)
            if not self.precision.is_full:
                facts = self._lower(folder, full, body, front, clean)
                verified = {**verified, "precision": "fp32"}
            else:
                self._measure(folder, facts, clean)
        facts["verification"] = verified
        if facts["purifier"]:
            facts["purifier"]["suspicion_is_detector"] = facts["clean"]["pixels_changed"] < 0.5
        write_json(folder / MANIFEST, facts)

    def _write_graphs(
        self, folder: Path, body: onnx.ModelProto, front: onnx.ModelProto | None, precision: Precision
    ) -> dict[str, Any]:
        """Write the graphs and a manifest to open them by; returns the manifest."""
        reference = self.reference
        graphs = {CLASSIFIER: fuse(reference.interface, body, None, _metadata(reference, precision, purifies=False))}
        if front is not None and reference.purifier is not None:
            metadata = _metadata(reference, precision, purifies=True)
            whole = reference.purifier.whole_values
            graphs[PIPELINE] = fuse(reference.interface, body, front, metadata, whole_values=whole)
        for name, graph in graphs.items():
            write_bytes(folder / name, serialized(graph))
        facts = _manifest(folder, reference, precision)
        write_json(folder / MANIFEST, facts)
        return facts

    def _lower(
        self, folder: Path, full: Path, body: onnx.ModelProto, front: onnx.ModelProto | None, clean: CleanImages
    ) -> dict[str, Any]:
        """Write the graphs, `body` in the lower precision, and compare their decisions with those of `full`."""
        reference, precision = self.reference, self.precision
        calibration = resized(self.calibration.images, reference.interface.size)
        self.say(f"making it {precision.name}")
        body = lowered(reference.classifier, body, reference.interface, precision, calibration)
        facts = self._write_graphs(folder, body, front, precision)
        after = self._measure(folder, facts, clean)
        self.say(f"comparing decisions on {len(clean.images)} images")
        before = decide(full, clean.images)
        if clean.labels is not None and not (before.classifier == clean.labels).any():
            raise UsageError(
                f"the classifier gets right none of {len(clean.images)} images, so that what {precision.name} costs "
                "cannot be measured. Next: check that --classes stand in the order of its outputs, and --mean and --std"
            )
        facts["decisions"] = compare_decisions(before, after, clean.labels, precision)
        if clean.labels is not None and facts["purifier"]:
            made_of = facts["classifier"]
            attacked = adversarial_sample(made_of["name"], made_of["weights_sha256"])
            facts["purification"] = purification({"_fp32": (full, before), "": (folder, after)}, clean.labels, attacked)
        if precision.name == "int8":
            ranges = "MinMax" if precision.target == "cpu" else "MinMax, moving average"
            facts["calibration"] = {"images": len(calibration), "source": self.calibration.name, "ranges": ranges}
        return facts

    def _measure(self, folder: Path, facts: dict[str, Any], clean: CleanImages) -> Decided:
        """Note in `facts` what the bundle does with clean images; returns the labels that it gives them."""
        self.say(f"measuring {len(clean.images)} clean images")
        facts["clean"], decided = clean_figures(folder, clean)
        return decided


def _metadata(reference: Reference, precision: Precision, *, purifies: bool) -> dict[str, str]:
    """What an ONNX file says of itself, JSON where it is no plain text; the same for the same export each time."""
    purifier = reference.purifier if purifies else None
    facts = {
        "class_names": reference.interface.class_names,
        "normalisation": _normalization(reference),
        "classifier": _classifier(reference),
        "purifier": purifier and {"name": purifier.name, "weights_sha256": purifier.weights_sha256},
        "precision": {"classifier": precision.name, "purifier": "fp32", "target": precision.target},
        "versions": _versions(),
    }
    return {"pixelproof": pixelproof.__version__} | {
        name: json.dumps(fact, ensure_ascii=False, sort_keys=True) for name, fact in facts.items()
    }


def _manifest(folder: Path, reference: Reference, precision: Precision) -> dict[str, Any]:
    """The manifest of the ONNX files in `folder`, before they were verified."""
    interface, purifier = reference.interface, reference.purifier
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
        "classifier": _classifier(reference),
        "purifier": purifier
        and {"name": purifier.name, "weights_sha256": purifier.weights_sha256, "suspicion_is_detector": False},
        "versions": _versions(),
        "files": {
            path.name: {"sha256": sha256_file(path), "nbytes": path.stat().st_size}
            for path in sorted(folder.glob("*.onnx"))
        },
        "verification": {},
    }


def _versions() -> dict[str, str]:
    """The versions of Python and of every package that has a part in an export."""
    packages = {name: str(importlib.import_module(name).__version__) for name in _PACKAGES}
    return {"python": platform.python_version()} | packages


def _classifier(reference: Reference) -> dict[str, Any]:
    classifier = reference.classifier
    return {
        "name": classifier.name,
        "source": classifier.source,
        "weights_sha256": classifier.weights_sha256,
        "outputs": reference.interface.outputs,
        "normalisation": _normalization(reference),
    }


def _normalization(reference: Reference) -> dict[str, list[float]] | None:
    """Of the 0..1 image; None where the classifier normalizes inside, or not at all."""
    if reference.interface.normalization is None:
        return None
    mean, std = reference.interface.normalization
    return {"mean": list(mean), "std": list(std)}

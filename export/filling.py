"""Fills a bundle's folder: writes its graphs, verifies them, and writes the manifest with what was measured."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pixelproof.errors import UsageError
from pixelproof.export.clean import CleanImages, clean_figures
from pixelproof.export.decisions import Decided, compare_decisions, decide, defense_counts, performance_loss
from pixelproof.export.graph import fuse, serialized
from pixelproof.export.manifest import graph_metadata, manifest
from pixelproof.export.precision import Precision, lowered
from pixelproof.export.reference import Reference, resized
from pixelproof.export.verification import verify
from pixelproof.files import write_bytes, write_json
from pixelproof.models.data import ImageSet, adversarial_sample, training_sample
from pixelproof.runtime.bundle import CLASSIFIER, PIPELINE
from pixelproof.runtime.manifest import MANIFEST


@dataclass(frozen=True)
class Calibration:
    """Images that int8's scales are taken from, uint8 `(n, H, W, 3)`, and where they are from."""

    images: NDArray[np.uint8]
    name: str

    @classmethod
    def shipped(cls) -> "Calibration":
        """200 training images of CIFAR-10."""
        return cls(training_sample().images, "CIFAR-10, 200 training images (shipped, 20 a class)")


@dataclass(frozen=True)
class Filling:
    """What a bundle is made of.

    Attributes:
        reference: the networks, and how they are joined.
        precision: of the classifier.
        calibration: for int8.
        test: clean images, on which accuracy, what the purifier costs and what suspicion there is are told, and
            decisions of a lower precision are compared; the shipped sample where None.
        say: told what is being done.
    """

    reference: Reference
    precision: Precision
    calibration: Calibration
    test: ImageSet | None
    say: Callable[[str], None]

    def fill(self, folder: Path) -> None:
        """Write the bundle into `folder`; `ExportError` where it does not do what the networks do, or not enough."""
        reference, precision = self.reference, self.precision
        self.say("exporting the classifier")
        body = reference.classifier.to_onnx(reference.interface.size)
        front = None
        if reference.purifier is not None:
            self.say("exporting the purifier")
            front = reference.purifier.to_onnx(reference.interface.size)
        clean = CleanImages.of(self.test, reference.interface)
        if precision.is_full:
            facts = self._verified(folder, body, front)
            self._measure(folder, facts, clean)
        else:
            with tempfile.TemporaryDirectory(prefix="pixelproof-") as other:
                full = self._verified(Path(other), body, front)
                facts = self._lower(folder, Path(other), full, body, front, clean)
        if facts["purifier"]:
            facts["purifier"]["suspicion_is_detector"] = facts["clean"]["pixels_changed"] < 0.5
        write_json(folder / MANIFEST, facts)

    def _measure(self, folder: Path, facts: dict[str, Any], clean: CleanImages) -> Decided:
        """Note in `facts` what the bundle does with clean images; the labels that it gives them."""
        self.say(f"measuring {len(clean.images)} clean images")
        facts["clean"], decided = clean_figures(folder, clean)
        return decided

    def _verified(self, folder: Path, body: onnx.ModelProto, front: onnx.ModelProto | None) -> dict[str, Any]:
        """Write the graphs in full precision, and compare them with the networks; returns the manifest."""
        facts = self._write(folder, body, front, Precision())
        self.say(f"verifying on {len(self.reference.images)} images")
        facts["verification"] = verify(folder, self.reference)
        return facts

    def _lower(
        self,
        folder: Path,
        full: Path,
        of_full: dict[str, Any],
        body: onnx.ModelProto,
        front: onnx.ModelProto | None,
        clean: CleanImages,
    ) -> dict[str, Any]:
        """Write the graphs, `body` in the lower precision, and compare their decisions with those of `full`."""
        reference, precision = self.reference, self.precision
        interface = reference.interface
        calibration = resized(self.calibration.images, interface.size)
        self.say(f"making it {precision.name}")
        body = lowered(reference.classifier, body, interface, precision, calibration)
        facts = self._write(folder, body, front, precision)
        facts["verification"] = {**of_full["verification"], "precision": "fp32"}
        images, labels = clean.images, clean.labels
        after = self._measure(folder, facts, clean)
        self.say(f"comparing decisions on {len(images)} images")
        before = decide(full, images)
        if labels is not None and not (before.classifier == labels).any():
            raise UsageError(
                f"the classifier gets right none of {len(images)} images, so that what {precision.name} costs cannot "
                "be told. Next: check that --classes stand in the order of its outputs, and --mean and --std"
            )
        facts["decisions"] = compare_decisions(before, after, labels, precision)
        if labels is not None and facts["purifier"]:
            purified: dict[str, Any] = {"clean_images": len(images)}
            purified |= {"pl_fp32": performance_loss(before, labels), "pl": performance_loss(after, labels)}
            made_of = facts["classifier"]
            if fooling := adversarial_sample(made_of["name"], made_of["weights_sha256"]):
                purified["adversarial_images"] = len(fooling)
                for suffix, bundle in (("_fp32", full), ("", folder)):
                    undone, fooled = defense_counts(decide(bundle, fooling.images), fooling.labels)
                    purified[f"fooled{suffix}"] = fooled
                    purified[f"d_suc{suffix}"] = undone / fooled if fooled else None
            facts["purification"] = purified
        if precision.name == "int8":
            ranges = "MinMax" if precision.target == "cpu" else "MinMax, moving average"
            facts["calibration"] = {"images": len(calibration), "source": self.calibration.name, "ranges": ranges}
        return facts

    def _write(
        self, folder: Path, body: onnx.ModelProto, front: onnx.ModelProto | None, precision: Precision
    ) -> dict[str, Any]:
        """Write the graphs and a manifest to open them by; returns the manifest."""
        interface, classifier, purifier = (
            self.reference.interface,
            self.reference.classifier,
            self.reference.purifier,
        )
        graphs = {CLASSIFIER: fuse(interface, body, None, graph_metadata(interface, classifier, None, precision))}
        if front is not None and purifier is not None:
            metadata = graph_metadata(interface, classifier, purifier, precision)
            graphs[PIPELINE] = fuse(interface, body, front, metadata, whole_values=purifier.whole_values)
        for name, graph in graphs.items():
            write_bytes(folder / name, serialized(graph))
        facts = manifest(folder, interface, classifier, purifier, precision)
        write_json(folder / MANIFEST, facts)
        return facts

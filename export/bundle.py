"""`export_bundle`: from networks to a bundle that was seen to compute what they compute."""

import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixelproof.errors import UsageError, missing_extra, quote
from pixelproof.export.interface import (
    Interface,
    check_class_names,
    check_normalization,
    check_outputs,
    check_size,
)
from pixelproof.files import atomic_folder, is_free
from pixelproof.runtime import Bundle, read_bundle
from pixelproof.runtime.backends.onnxruntime_cpu import import_onnxruntime
from pixelproof.runtime.manifest import MANIFEST

if TYPE_CHECKING:
    from torch import nn

    from pixelproof.export.classifiers import Classifier
    from pixelproof.export.own_images import Calibration
    from pixelproof.models.data import ImageSet

_log = logging.getLogger("pixelproof")

_PACKAGES = ("torch", "onnx", "onnxscript", "safetensors")


def export_bundle(
    classifier: "str | Path | nn.Module",
    output: str | os.PathLike[str],
    *,
    purifier: "str | nn.Module" = "gated",
    size: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    outputs: str = "logits",
    weights: str | os.PathLike[str] | None = None,
    precision: str = "fp32",
    target: str = "cpu",
    max_accuracy_drop: float = 0.5,
    calibration: "Calibration | Path | None" = None,
    test: "ImageSet | Path | None" = None,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Bundle:
    """Write a bundle: a purifier and a classifier in one ONNX graph, and the classifier alone.

    The bundle is run in a fresh process on real images (shipped CIFAR-10 test images, resized where need be) and
    compared with the networks it was made from; where it differs, nothing is left behind.

    Args:
        classifier: a shipped name, `module:function` that builds an `nn.Module`, the path of an `.onnx` file, or an
            `nn.Module`. One's own takes float32 `(n, 3, H, W)` in 0..1, normalized where `mean` and `std` are given.
        output: the bundle's folder.
        purifier: a name in `pixelproof.models.PURIFIERS`, "none", or one's own: an `nn.Module` from float32
            `(n, 3, H, W)` on the 0..255 scale to the same, or `module:function` that builds one. A module with
            `whole_values = True` says that it gives whole pixel values, 0 to 255, one with a method `fused()` that this
            gives a cheaper module to export in its place.
        size: height and width of the images; known for a shipped classifier, and for an ONNX file that fixes them.
        class_names: in the order of the classifier's outputs; known for a shipped classifier.
        mean: of the 0..1 image, one value a channel.
        std: likewise, above 0.
        outputs: what one's own classifier gives, "logits" or "probabilities".
        weights: a safetensors file for a shipped name, `module:function` or `nn.Module`, which it is loaded into.
        precision: of the classifier, "fp32", "fp16" or "int8"; the purifier stays in float32. A lower one's decisions
            are compared with float32's, and the figures written into the manifest.
        target: the runtime that int8 is made for, "cpu" (ONNX Runtime) or "tensorrt".
        max_accuracy_drop: points of accuracy that a lower precision may cost.
        calibration: images for int8 to take its scales from, or a folder of them; CIFAR-10 training images, scaled,
            where None.
        test: clean images to measure accuracy, what the purifier costs and the percentiles of suspicion on, and to
            compare a lower precision's decisions on, of the bundle's size, or where they are: a folder with a
            subfolder for each class, or CIFAR-10; the 200 shipped ones, scaled, where None.
        force: replace a bundle that is at `output` already.
        progress: called with what is being done, a few words each.

    Returns:
        The bundle, read back and checked.

    Raises:
        UsageError: unknown names, unfit values, an existing `output`, a classifier that does not fit its description.
        WeightsError: weights that are missing, damaged or made for another network.
        ExportError: a network cannot be exported, the bundle does not compute what the networks compute, or its
            precision costs too much.
        DataError: images that are missing or incomplete.
        BackendError: ONNX Runtime does not work.
    """
    path, say = Path(output), progress or (lambda _: None)
    _check_target(path, force)
    _check_packages()
    from pixelproof.export.bundle_writer import BundleWriter
    from pixelproof.export.classifiers import open_classifier
    from pixelproof.export.decisions import warn_of_chance, warn_of_many_changes
    from pixelproof.export.own_images import Calibration
    from pixelproof.export.precision import check_precision
    from pixelproof.export.purifiers import open_purifier
    from pixelproof.export.reference import Reference

    chosen = check_precision(precision, target, max_accuracy_drop)
    say("building the networks")
    opened = open_classifier(classifier, None if weights is None else Path(weights))
    if opened.class_names is not None and (mean is not None or std is not None):
        raise UsageError(f"classifier '{opened.name}' normalizes inside. Next: leave out --mean and --std")
    interface = Interface(
        size=check_size(_size(opened, size)),
        class_names=check_class_names(class_names if class_names is not None else opened.class_names),
        normalization=check_normalization(mean, std),
        outputs=check_outputs(outputs),
    )
    if calibration is not None and chosen.name != "int8":
        raise UsageError(f"{chosen.name} takes no scales from images. Next: leave out --calibration, or int8")
    if chosen.name == "fp16" and opened.source == "onnx":
        opened.to_onnx(interface.size, half=True)  # which refuses, before the long work
    scales, compared = _images(interface, calibration, test)
    engines = sorted(each.name for each in path.glob("engines/*.engine"))
    reference = Reference(interface, opened, open_purifier(purifier))
    _ = reference.bare, reference.cleaned  # what does not fit is reported before the long work
    try:
        with atomic_folder(path, replace=force) as folder:
            BundleWriter(reference, chosen, scales or Calibration.shipped(), compared, say).write(folder)
    except FileExistsError:  # it came while we worked
        raise _exists(path) from None
    if engines:
        _log.warning(
            "the engines of the bundle that was there went with it: %s. Next: pixelproof build-engine %s --flavor %s",
            ", ".join(engines),
            quote(path),
            engines[0].split(".")[1],
        )
    made = read_bundle(path)
    warn_of_chance(made)
    warn_of_many_changes(made)
    return made


def _images(
    interface: Interface, calibration: "Calibration | Path | None", test: "ImageSet | Path | None"
) -> "tuple[Calibration | None, ImageSet | None]":
    """Both, read where they are folders; `UsageError` where they do not fit."""
    from pixelproof.export.own_images import calibration_images, labeled_images

    if isinstance(calibration, str | os.PathLike):
        calibration = calibration_images(Path(calibration), interface.size)
    if isinstance(test, str | os.PathLike):
        test = labeled_images(Path(test), interface.class_names, interface.size).images
    if test is not None and test.images.shape[1:3] != interface.size:
        sizes = ["x".join(map(str, size)) for size in (test.images.shape[1:3], interface.size)]
        raise UsageError(
            f"the data set's images are {sizes[0]}, and the bundle takes {sizes[1]}. Next: leave out --data"
        )
    return calibration, test


def _check_target(target: Path, force: bool) -> None:
    if not is_free(target):
        if not force:
            raise _exists(target)
        if not (target / MANIFEST).is_file():
            raise UsageError(
                f"'{target}' is no bundle, and --force replaces bundles alone. Next: give another -o BUNDLE"
            )
    for parent in target.parents:
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"'{parent}' is a file, and '{target}' would lie in it. Next: give another -o BUNDLE")


def _exists(target: Path) -> UsageError:
    force = "--force to replace it, or " if (target / MANIFEST).is_file() else ""  # which replaces bundles alone
    return UsageError(f"'{target}' exists already. Next: {force}another -o BUNDLE")


def _check_packages() -> None:
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise missing_extra(name, "export", "exporting a classifier")
    import_onnxruntime()  # every export is run before it is handed over


def _size(classifier: "Classifier", asked: Sequence[int] | None) -> Sequence[int] | None:
    known = classifier.size
    if known is not None and asked is not None and tuple(asked) != known:
        raise UsageError(
            f"classifier '{classifier.name}' takes images of {known[0]}x{known[1]} (height x width), "
            f"and {'x'.join(map(str, asked))} was asked for. Next: leave out --size"
        )
    return known if asked is None else asked

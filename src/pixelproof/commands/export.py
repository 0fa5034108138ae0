"""`pixelproof export`: a classifier and a purifier into a bundle; `export-triton`: a bundle for Triton."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pixelproof.commands.options import Bundle, height_and_width, parsed
from pixelproof.errors import UsageError, quote

if TYPE_CHECKING:
    from pixelproof import runtime


def export(
    classifier: Annotated[
        str,
        typer.Argument(
            metavar="CLASSIFIER",
            help="lenet, pure_cnn, nin, resnet, densenet, wide_resnet, a module:function that builds a "
            "torch.nn.Module, or an ONNX file.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="BUNDLE", help="The folder. [CLASSIFIER-PURIFIER]")
    ] = None,
    purifier: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="gated, median, autoencoder, none, or a module:function that builds a torch.nn.Module."
        ),
    ] = "gated",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights for the network (safetensors).")] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Of one's own network: subtracted from the 0..1 image.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="R,G,B", help="Then divided by.")] = None,
    size: Annotated[str | None, typer.Option(metavar="H,W", help="Of one's own network's images, in pixels.")] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of one's own network's classes, a name a line.")
    ] = None,
    outputs: Annotated[
        str, typer.Option(metavar="KIND", help="What one's own network gives: logits or probabilities.")
    ] = "logits",
    precision: Annotated[str, typer.Option(metavar="NAME", help="Of the classifier: fp32, fp16 or int8.")] = "fp32",
    runs_on: Annotated[
        str, typer.Option("--target", metavar="NAME", help="What int8 is made for: cpu (ONNX Runtime) or tensorrt.")
    ] = "cpu",
    max_accuracy_drop: Annotated[
        float,
        typer.Option(
            metavar="POINTS",
            help="Accuracy that a lower precision may cost; of images without known labels, decisions it may change.",
        ),
    ] = 0.5,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images for int8 to take its scales from.", show_default="CIFAR-10's"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Clean images, for accuracy, what the purifier costs and what to set alarms by: a folder with a "
            "subfolder a class, or CIFAR-10.",
            show_default="200 of CIFAR-10, shipped",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Put a purifier before a classifier, write both as one ONNX graph, and verify it on real images."""
    from pixelproof.export import export_bundle

    target = output or Path(f"{_short(classifier)}-{_short(purifier)}")
    console = Console(file=sys.stderr)  # this very stream: the exporter's own messages are kept off sys.stderr
    with console.status(f"exporting {classifier}") as status:
        bundle = export_bundle(
            classifier,
            target,
            purifier=purifier,
            size=None if size is None else height_and_width(size),
            class_names=None if classes is None else _lines(classes),
            mean=None if mean is None else _rgb("--mean", mean),
            std=None if std is None else _rgb("--std", std),
            outputs=outputs,
            weights=weights,
            precision=precision,
            target=runs_on,
            max_accuracy_drop=max_accuracy_drop,
            calibration=calibration,
            test=data,
            force=force,
            progress=status.update,
        )
    if as_json:
        summary = {"bundle": str(target), "manifest_sha256": bundle.manifest_sha256, "manifest": bundle.manifest}
        typer.echo(json.dumps(summary, indent=2))
    else:
        _print(bundle)


def export_triton(
    bundle: Bundle,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FOLDER", help="The model repository, which may hold other models."),
    ] = Path("triton-models"),
    engine: Annotated[
        str | None, typer.Option(metavar="NAME", help="Serve this engine of the bundle.", show_default="its ONNX graph")
    ] = None,
    largest_batch: Annotated[int, typer.Option(min=1, help="Images a call at most.")] = 64,
    delay_us: Annotated[int, typer.Option(min=0, help="Microseconds that a request may wait for others.")] = 1000,
    force: Annotated[bool, typer.Option("--force", help="Replace this model where the repository has it.")] = False,
) -> None:
    """Add a model to a repository for Triton Inference Server, with dynamic batching."""
    from pixelproof.export.triton import export_triton

    model = export_triton(bundle, output, engine=engine, largest_batch=largest_batch, delay_us=delay_us, force=force)
    files = sorted(str(path.relative_to(output)) for path in model.rglob("*") if path.is_file())
    typer.echo(f"{output}: {', '.join(files)}")
    typer.echo(f"serve it: tritonserver --model-repository {quote(output)}")


def _short(classifier: str) -> str:
    """What the bundle's folder is named after: an ONNX file's stem, or the name with no separators."""
    path = Path(classifier)
    return path.stem if path.suffix.lower() == ".onnx" else classifier.replace(":", "-").replace("/", "-")


def _rgb(option: str, text: str) -> list[float]:
    return parsed(option, text, float, "three numbers, R,G,B", "0.5,0.5,0.5")


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UsageError(f"there is no file of class names '{path}'. Next: write one, a name a line")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError:
        raise UsageError(f"'{path}' is not a text file in UTF-8. Next: write the class names, a name a line") from None


def _print(bundle: "runtime.Bundle") -> None:
    measured = bundle.manifest["verification"]
    figures = measured.get("pipeline", measured["classifier"])
    levels = figures.get("purified_max_difference")
    differences = [f"probabilities {figures['probabilities_max_difference']:.1e}"]
    differences += [] if levels is None else [f"purified images {levels} of 255"]
    typer.echo(f"{bundle.path}: {', '.join(bundle.files)}")
    typer.echo(
        f"verified on {measured['images']} real images, {measured['provider']}: same class on each; "
        f"largest differences: {', '.join(differences)}" + (" (in fp32)" if "decisions" in bundle.manifest else "")
    )
    precision = bundle.manifest["precision"]
    for part, decisions in bundle.manifest.get("decisions", {}).items():
        typer.echo(f"{precision} {part}: {_decisions(decisions)}")
    if purification := bundle.manifest.get("purification"):
        typer.echo(f"{precision} purifier: {_purification(purification)}")
    if "decisions" not in bundle.manifest and (clean := _clean(bundle.manifest["clean"])):
        typer.echo(clean)
    typer.echo(f"manifest SHA-256: {bundle.manifest_sha256}")


def _clean(figures: dict[str, Any]) -> str:
    """Of the bundle in full precision; empty where nothing is known that it could be right about or change."""
    of = f"{figures['images']:,} clean images, {figures['source']}"
    changed = figures.get("decisions_changed")
    if "accuracy" not in figures:
        return "" if changed is None else f"the purifier changes {changed:.2%} of the decisions on {of}"
    text = f"accuracy {figures['accuracy']:.2%}"
    if changed is not None:
        text += f", purified {figures['pipeline_accuracy']:.2%}, {changed:.2%} of the decisions changed"
    return f"{text} ({of})"


def _decisions(figures: dict[str, Any]) -> str:
    text = f"{figures['top1_agreement']:.2%} of {figures['images']:,} decisions as in fp32"
    if "accuracy" in figures:
        text += f"; accuracy {figures['accuracy']:.2%}, in fp32 {figures['accuracy_fp32']:.2%}"
    else:
        text += f", on CIFAR-10's images, {figures['classes']} classes predicted (on yours: --data FOLDER)"
    return text


def _purification(figures: dict[str, Any]) -> str:
    lost = (
        "has none that are right to lose" if figures["pl"] is None else f"loses {figures['pl']:.2%} of the clean images"
    )
    text = f"{lost}, in fp32 {figures['pl_fp32']:.2%}"
    if figures.get("d_suc") is not None and figures["d_suc_fp32"] is not None:
        undone = f"undoes {figures['d_suc']:.1%} of {figures['fooled']} attacks that fool it"
        return f"{undone}, in fp32 {figures['d_suc_fp32']:.1%} of {figures['fooled_fp32']}; {text}"
    return text

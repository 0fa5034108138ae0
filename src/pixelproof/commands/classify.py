"""`pixelproof classify`: what a bundle says of image files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixelproof.commands.options import AsJson, Bundle, print_table

if TYPE_CHECKING:
    from pixelproof.runtime import Pipeline, Result


def classify(
    bundle: Bundle,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files of the bundle's size.")],
    backend: Annotated[str, typer.Option(help="auto, or a name; pixelproof doctor lists them.")] = "auto",
    as_json: AsJson = False,
    manifest_sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="What the bundle's bundle.json must hash to.")
    ] = None,
) -> None:
    """Purify and classify image files: class, probability, and the pixel that looks attacked."""
    from pixelproof.runtime import Pipeline
    from pixelproof.runtime.images import read_images

    with Pipeline(bundle, backend=backend, manifest_sha256=manifest_sha256) as pipeline:
        result = pipeline(read_images(images, pipeline.image_size))
    verdicts = [_verdict(str(path), pipeline, result, index) for index, path in enumerate(images)]
    detects = None if result.suspicion is None else pipeline.manifest["purifier"]["suspicion_is_detector"]
    if as_json:
        summary = {
            "bundle": str(bundle),
            "manifest_sha256": pipeline.manifest_sha256,
            "backend": pipeline.backend,
            "provider": pipeline.provider,
            "suspicion_is_detector": detects,
            "images": verdicts,
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    _print(verdicts, purified=result.suspicion is not None)
    if detects is False:
        name = pipeline.manifest["purifier"]["name"]
        typer.echo(f"note: '{name}' changes clean images too, so its suspicion is no sign of an attack", err=True)


def _verdict(path: str, pipeline: "Pipeline", result: "Result", index: int) -> dict[str, Any]:
    label = int(result.labels[index])
    probabilities = [round(float(value), 7) for value in result.probabilities[index]]
    verdict: dict[str, Any] = {
        "file": path,
        "label": label,
        "class": pipeline.class_names[label],
        "probability": probabilities[label],
        "probabilities": probabilities,
        "suspicion": None,
        "suspect": None,
    }
    if result.suspicion is not None and result.suspect is not None:
        row, column = map(int, result.suspect[index])
        verdict["suspicion"] = round(float(result.suspicion[index]), 7)
        verdict["suspect"] = None if row < 0 else {"row": row, "column": column}
    return verdict


def _print(verdicts: list[dict[str, Any]], *, purified: bool) -> None:
    rows = []
    for verdict in verdicts:
        row = [verdict["file"], verdict["class"], f"{verdict['probability']:.4f}"]
        if purified:
            suspect = verdict["suspect"]
            row += [f"{verdict['suspicion']:.4f}", f"{suspect['row']}, {suspect['column']}" if suspect else "none"]
        rows.append(row)
    header = ["file", "class", "probability"] + (["suspicion", "suspect pixel (row, column)"] if purified else [])
    print_table(rows, header)

"""`pixelproof export-triton`: a model repository for Triton Inference Server from a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from pixelproof.errors import quote


def export_triton(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
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

"""`pixelproof build-engine`: a TensorRT engine from a bundle."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pixelproof.errors import UsageError


def build_engine(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")],
    flavour: Annotated[
        str, typer.Option(metavar="NAME", help="tensorrt (for the GPU here) or tensorrt-rtx (needs no GPU).")
    ] = "tensorrt",
    part: Annotated[str, typer.Option(metavar="NAME", help="pipeline or classifier.")] = "pipeline",
    profile: Annotated[
        str, typer.Option(metavar="MIN,OPT,MAX", help="Smallest, usual and largest batch.")
    ] = "1,64,1024",
    capability: Annotated[
        str | None,
        typer.Option(
            "--compute-capability", metavar="X.Y", help="Of tensorrt-rtx: build for it.", show_default="portable"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the sidecar as JSON.")] = False,
) -> None:
    """Build a TensorRT engine and keep it in the bundle. Engines are code: load none that you do not trust."""
    from pixelproof.export.engines import build_engine

    console = Console(file=sys.stderr)
    with console.status("TensorRT") as status:
        path = build_engine(
            bundle,
            flavour=flavour,
            part=part,
            profile=_profile(profile),
            capability=capability,
            progress=lambda phase, done, total: status.update(f"{phase}: {done} of {total}"),
        )
    sidecar = json.loads(path.with_suffix(".json").read_text())
    if as_json:
        typer.echo(json.dumps({"engine": str(path), **sidecar}, indent=2))
        return
    typer.echo(f"{path}: {sidecar['nbytes'] / 2**20:.1f} MiB, {sidecar['precision']}, profile {profile}")
    typer.echo(
        f"built by {sidecar['flavour']} {sidecar['version']} for {sidecar['compute_capability']}; it has not been run"
    )


def _profile(text: str) -> list[int]:
    try:
        return [int(batch) for batch in text.split(",")]
    except ValueError:
        raise UsageError(f"--profile takes three whole numbers, got '{text}'. Next: --profile 1,64,1024") from None

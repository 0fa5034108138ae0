"""`pixelproof build-engine`: a TensorRT engine from a bundle."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pixelproof.commands.options import Bundle, parsed
from pixelproof.errors import UsageError

if TYPE_CHECKING:
    from pixelproof import runtime


def build_engine(
    bundle: Bundle,
    flavor: Annotated[
        str,
        typer.Option(
            "--flavor", "--flavour", metavar="NAME", help="tensorrt (for the GPU here) or tensorrt-rtx (needs no GPU)."
        ),
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
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build those of its engines again that do not fit any more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each sidecar as JSON.")] = False,
) -> None:
    """Build a TensorRT engine and keep it in the bundle. Engines are code: load none that you do not trust."""
    from pixelproof.export.engines import build_engine, rebuild_engines
    from pixelproof.runtime import read_bundle

    own = [flavor, part, profile, capability] == ["tensorrt", "pipeline", "1,64,1024", None]
    if rebuild and not own:
        raise UsageError(
            "--rebuild takes each engine's own flavor, part, profile and compute capability. Next: leave these out"
        )
    before = _profiles(read_bundle(bundle))
    with Console(file=sys.stderr).status("TensorRT") as status:

        def show(phase: str, done: int, total: int) -> None:
            status.update(f"{phase}: {done} of {total}")

        if rebuild:
            paths = rebuild_engines(bundle, progress=show)
        else:
            paths = [
                build_engine(
                    bundle,
                    flavor=flavor,
                    part=part,
                    profile=parsed("--profile", profile, int, "three whole numbers", "1,64,1024"),
                    capability=capability,
                    progress=show,
                )
            ]
    sidecars = {path: json.loads(path.with_suffix(".json").read_text()) for path in paths}
    manifest_sha256 = read_bundle(bundle).manifest_sha256
    if as_json:
        head = {"manifest_sha256": manifest_sha256}
        found = [{"engine": str(path), **head, **sidecar} for path, sidecar in sidecars.items()]
        typer.echo(json.dumps(found if rebuild else found[0], indent=2))
        return
    for path, sidecar in sidecars.items():
        _print(path, sidecar, before.get(path.name))
    if not sidecars:
        typer.echo("all engines fit; nothing was built")
    typer.echo(f"manifest SHA-256: {manifest_sha256}")


def _profiles(bundle: "runtime.Bundle") -> dict[str, list[int]]:
    """Those of the engines that the bundle has, by name, as far as their sidecars state it."""
    from pixelproof.runtime.engines import noted_profile

    return {name: [*profile] for name in bundle.engines if (profile := noted_profile(bundle, name)) is not None}


def _print(path: Path, sidecar: dict[str, Any], before: list[int] | None) -> None:
    profile = ",".join(map(str, sidecar["profile"]))
    typer.echo(f"{path}: {sidecar['nbytes'] / 2**20:.1f} MiB, {sidecar['precision']}, profile {profile}")
    if before is not None and before != sidecar["profile"]:
        typer.echo(f"it takes the place of the one with profile {','.join(map(str, before))}")
    typer.echo(
        f"built by {sidecar['flavour']} {sidecar['version']} for {sidecar['compute_capability']}; it has not been run"
    )

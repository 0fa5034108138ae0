"""`pixelproof inspect`: what is in a bundle, and where it came from."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixelproof.commands.options import Bundle, print_table
from pixelproof.errors import BundleError, quote

if TYPE_CHECKING:
    from pixelproof import runtime


def inspect(
    bundle: Bundle,
    manifest_sha256: Annotated[
        str | None,
        typer.Option("--manifest-sha256", metavar="HEX", help="Refuse the bundle unless its manifest has it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checked manifest as JSON.")] = False,
) -> None:
    """Check a bundle, its engines too, and print what is in it and where it came from; needs no ONNX Runtime."""
    from pixelproof.runtime import read_bundle

    checked = read_bundle(bundle, manifest_sha256=manifest_sha256)
    engines, faults = _checked_engines(checked)
    if as_json:
        head = {"bundle": str(bundle), "manifest_sha256": checked.manifest_sha256}
        summary = {**head, "manifest": checked.manifest, "engines": engines}
        typer.echo(json.dumps(summary, indent=2))
    else:
        _print_facts(checked)
        _print_section("inputs and outputs", _tensors(checked.manifest))
        _print_section("files, checked", _files(checked.manifest))
        _print_section("engines, checked", _engine_rows(engines))
        for name, title in _sections(checked.manifest).items():
            _print_section(title, _flat(checked.manifest.get(name) or {}))
    if faults:
        raise faults[0]


def _checked_engines(bundle: "runtime.Bundle") -> tuple[dict[str, dict[str, Any]], list[BundleError]]:
    """The sidecars of the engines that are what was built of this bundle's graphs, and what is wrong with the others.

    Those do not keep the bundle from running by other backends.
    """
    from pixelproof.runtime.engines import read_engine

    sidecars, faults = {}, []
    for name in bundle.engines:
        try:
            engine = read_engine(bundle, name)
        except BundleError as error:
            faults.append(error)
            continue
        if engine.sidecar["onnx_sha256"] == bundle.manifest["files"].get(f"{engine.part}.onnx", {}).get("sha256"):
            sidecars[name] = engine.sidecar
        else:
            faults.append(
                BundleError(
                    f"engine '{name}' of bundle '{bundle.path}' was built of another {engine.part}.onnx. "
                    f"Next: pixelproof build-engine {quote(bundle.path)} --rebuild"
                )
            )
    return sidecars, faults


def _sections(manifest: dict[str, Any]) -> dict[str, str]:
    """What was measured, and where: a lower precision's networks were compared in float32, its decisions as it is."""
    precision, compared = manifest["precision"], (manifest.get("verification") or {}).get("precision")
    return {
        "verification": f"measured at export, in {compared}" if compared else "measured at export",
        "clean": f"on clean images, in {precision}",
        "decisions": f"decisions in {precision}, beside fp32's",
        "purification": f"what the purifier mends and loses before {precision}, and before fp32",
        "calibration": "calibration",
        "versions": "versions",
    }


def _print_facts(checked: "runtime.Bundle") -> None:
    manifest = checked.manifest
    height, width = checked.image_size
    facts = {
        "bundle": str(checked.path),
        "manifest SHA-256": checked.manifest_sha256,
        "format": f"{manifest['format']} {manifest['format_version']}",
        "created": f"{manifest.get('created', '?')} by pixelproof {manifest.get('pixelproof', '?')}",
        "precision": f"{manifest['precision']}, for {manifest.get('target', 'any target')}",
        "classifier": _part(manifest["classifier"]),
        "purifier": _part(manifest["purifier"]),
        "images": f"uint8 RGB, {height}x{width} (height x width)",
        "classes": f"{len(checked.class_names)}: {', '.join(checked.class_names)}",
    }
    if checked.has_purifier and not manifest["purifier"]["suspicion_is_detector"]:
        facts["suspicion"] = "no sign of an attack: this purifier changes clean images too"
    print_table(facts.items())


def _part(part: dict[str, Any] | None) -> str:
    if part is None:
        return "none"
    facts = [f"{key.replace('_', ' ')} {_shown(value)}" for key, value in part.items() if key != "name"]
    return "; ".join([part["name"], *facts])


def _tensors(manifest: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (direction, tensor["name"], tensor["dtype"], f"({', '.join(map(str, tensor['shape']))})")
        for direction, tensors in (("input", manifest["inputs"]), ("output", manifest["outputs"]))
        for tensor in tensors
    ]


def _files(manifest: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(name, f"{entry['nbytes']:,} bytes", entry["sha256"]) for name, entry in manifest["files"].items()]


def _engine_rows(sidecars: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{sidecar['nbytes']:,} bytes",
            f"{sidecar['precision']}, profile {','.join(map(str, sidecar['profile']))}, by {sidecar['version']} for "
            f"{sidecar['gpu'] or sidecar['compute_capability']}",
            sidecar["engine_sha256"],
        )
        for name, sidecar in sidecars.items()
    ]


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, ...]]:
    """Nested figures as rows: the names joined by spaces, and the value."""
    rows: list[tuple[str, ...]] = []
    for key, value in figures.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        rows += _flat(value, f"{name}: ") if isinstance(value, dict) else [(name, _shown(value))]
    return rows


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _print_section(title: str, rows: list[tuple[str, ...]]) -> None:
    if rows:
        typer.echo(f"\n{title}")
        print_table(rows)

"""An engine and the JSON beside it, read together and compared before TensorRT sees a byte of them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pixelproof.errors import BundleError, UsageError, quote
from pixelproof.runtime.bundle import Bundle, inside
from pixelproof.runtime.manifest import is_count, is_sha256, is_text

ENGINES = "engines"
"""The folder, in a bundle, of its engines."""


@dataclass(frozen=True, eq=False)
class Engine:
    """An engine in memory: `content` is the very bytes that were compared with the manifest and the sidecar.

    Attributes:
        name: its file's, in the bundle's `engines`.
        content: what TensorRT loads. It is code: whoever wrote it, runs.
        sidecar: what was noted when it was built.
    """

    name: str
    content: bytes
    sidecar: dict[str, Any]

    @property
    def part(self) -> str:
        """ "pipeline" or "classifier"."""
        return self.name.partition(".")[0]

    @property
    def profile(self) -> tuple[int, int, int]:
        """The smallest, the usual and the largest batch."""
        smallest, usual, largest = self.sidecar["profile"]
        return smallest, usual, largest


def engine_name(part: str, flavor: str, built_for: str) -> str:
    """The file's name; `built_for`: a compute capability, or "portable"."""
    return f"{part}.{flavor}.{built_for}.engine"


def read_engine(bundle: Bundle, name: str) -> Engine:
    """The engine called `name` of a bundle.

    Raises:
        UsageError: the bundle lists no such engine.
        BundleError: engine or sidecar are missing, damaged, not a pair, or reached through a link.
    """
    listed = bundle.engines
    if name not in listed:
        there = ", ".join(listed) or "none"
        remedy = "--engine NAME" if listed else f"pixelproof build-engine {quote(bundle.path)}"
        raise UsageError(f"bundle '{bundle.path}' has no engine '{name}'; there are: {there}. Next: {remedy}")
    for file in (name, _sidecar_name(name)):
        if not (bundle.path / ENGINES / file).exists():
            raise _unfit(bundle, name, f"'{ENGINES}/{file}' is missing")
    sidecar = _read_sidecar(bundle, name)
    path = inside(bundle.path, f"{ENGINES}/{name}")
    nbytes = path.stat().st_size  # before the reading: a file of the wrong size may be of any size
    if nbytes != sidecar["nbytes"]:
        raise _unfit(bundle, name, f"it should have {sidecar['nbytes']} bytes and has {nbytes}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for where, expected in (("bundle.json", listed[name]), ("its sidecar", sidecar["engine_sha256"])):
        if digest != expected:
            raise _unfit(bundle, name, f"{where} says SHA-256 {expected[:12]}..., and it has {digest[:12]}...")
    return Engine(name, content, sidecar)


def noted_profile(bundle: Bundle, name: str) -> tuple[int, int, int] | None:
    """The profile that the sidecar tells of an engine, whatever became of the engine; None where it tells none."""
    try:
        return Engine(name, b"", _read_sidecar(bundle, name)).profile
    except (BundleError, OSError):
        return None


def _read_sidecar(bundle: Bundle, name: str) -> dict[str, Any]:
    content = inside(bundle.path, f"{ENGINES}/{_sidecar_name(name)}").read_bytes()
    try:
        sidecar = json.loads(content)
    except (ValueError, RecursionError):
        raise _unfit(bundle, name, f"its sidecar ({len(content)} bytes) is not valid JSON") from None
    if not isinstance(sidecar, dict):
        raise _unfit(bundle, name, "its sidecar is not a JSON object")
    for field, (holds, wanted) in _FIELDS.items():
        if not holds(sidecar.get(field)):
            got = json.dumps(sidecar.get(field))[:60]
            raise _unfit(bundle, name, f"'{field}' in its sidecar must be {wanted}, got {got}")
    return sidecar


def _sidecar_name(name: str) -> str:
    return f"{name.removesuffix('.engine')}.json"


def _unfit(bundle: Bundle, name: str, what: str) -> BundleError:
    return BundleError(
        f"engine '{name}' of bundle '{bundle.path}' is not the one that was built: {what}. "
        f"Next: pixelproof build-engine {quote(bundle.path)} --rebuild"
    )


def _is_profile(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_count(side) and side > 0 for side in value)


def _is_text_or_nothing(value: object) -> bool:
    return value is None or is_text(value)


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "flavour": (is_text, "a text"),
    "version": (is_text, "a text"),
    "compute_capability": (is_text, "a text"),
    "gpu": (_is_text_or_nothing, "a text or null"),
    "driver_cuda": (_is_text_or_nothing, "a text or null"),
    "profile": (_is_profile, "three whole numbers above 0"),
    "precision": (is_text, "a text"),
    "onnx_sha256": (is_sha256, "64 hex digits"),
    "engine_sha256": (is_sha256, "64 hex digits"),
    "nbytes": (is_count, "a whole number"),
    "built": (is_text, "a text"),
}

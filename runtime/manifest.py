"""The bundle's manifest, `bundle.json`: the format's name and version, and the fields that readers rely on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pixelproof
from pixelproof.errors import BundleError, in_clone, quote

MANIFEST = "bundle.json"
FORMAT = "pixelproof-bundle"
FORMAT_VERSION = 1


def damaged(bundle: Path, what: str) -> BundleError:
    """An error for a bundle that is not as it was exported."""
    return BundleError(
        f"bundle '{bundle}' is damaged: {what}. "
        f"Next: export it again with pixelproof export CLASSIFIER -o {quote(bundle)} --force"
    )


def parse_manifest(content: bytes, bundle: Path) -> dict[str, Any]:
    """The manifest in `content`, of a known version and with every field of the right kind, or a `BundleError`."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):
        raise damaged(bundle, f"{MANIFEST} ({len(content)} bytes) is not valid JSON") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(
            f'\'{bundle}\' is not a pixelproof bundle: its {MANIFEST} does not say "format": "{FORMAT}". '
            f"Next: pixelproof export CLASSIFIER -o BUNDLE"
        )
    _check_version(manifest.get("format_version"), bundle)
    if "purifier" not in manifest:  # null says that there is none, and a lost key says nothing
        raise damaged(bundle, f"{MANIFEST} does not say whether there is a 'purifier'")
    for field, (holds, wanted) in _FIELDS.items():
        if not holds(manifest.get(field)):
            got = json.dumps(manifest.get(field))
            raise damaged(bundle, f"'{field}' in {MANIFEST} must be {wanted}, got {got[:60]}")
    return manifest


def _check_version(version: object, bundle: Path) -> None:
    if type(version) is not int or version < 1:
        raise damaged(bundle, f"'format_version' in {MANIFEST} must be a whole number, got {version!r}")
    if version > FORMAT_VERSION:
        raise BundleError(
            f"bundle '{bundle}' has format version {version}; pixelproof {pixelproof.__version__} reads up to "
            f"version {FORMAT_VERSION}. Next: {in_clone('git pull && pip install .')}"
        )


def is_text(value: object) -> bool:
    """A text that prints on one line."""
    return isinstance(value, str) and value.isprintable()


def is_count(value: object) -> bool:
    """A whole number from 0 on."""
    return type(value) is int and value >= 0


def _is_size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_count(side) and side > 0 for side in value)


def _is_classes(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(is_text(name) for name in value)


def _is_tensors(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(tensor, dict)
        and is_text(tensor.get("name"))
        and is_text(tensor.get("dtype"))
        and isinstance(tensor.get("shape"), list)
        for tensor in value
    )


def _is_classifier(value: object) -> bool:
    return isinstance(value, dict) and is_text(value.get("name"))


def _is_purifier(value: object) -> bool:
    if isinstance(value, dict):
        return is_text(value.get("name")) and isinstance(value.get("suspicion_is_detector"), bool)
    return value is None


def _is_files(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(entry, dict) and is_sha256(entry.get("sha256")) and is_count(entry.get("nbytes"))
        for entry in value.values()
    )


def _is_engines(value: object) -> bool:
    return isinstance(value, dict) and all(is_sha256(digest) for digest in value.values())


def is_sha256(value: object) -> bool:
    """64 lower-case hex digits."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _absent_or(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "precision": (is_text, "a text"),
    "inputs": (_is_tensors, "a list of tensors, each with name, dtype and shape"),
    "outputs": (_is_tensors, "a list of tensors, each with name, dtype and shape"),
    "image_size": (_is_size, "two whole numbers above 0, [H, W]"),
    "class_names": (_is_classes, "a list of one or more printable names"),
    "classifier": (_is_classifier, "an object with a name"),
    "purifier": (_is_purifier, "null, or an object with a name and a truth value 'suspicion_is_detector'"),
    "engines": (_absent_or(_is_engines), "absent, or an object of engines, each with its sha256"),
    "files": (_is_files, "an object of files, each with its sha256 and nbytes"),
    "created": (_absent_or(is_text), "absent, or a text"),
    "pixelproof": (_absent_or(is_text), "absent, or a text"),
    "target": (_absent_or(is_text), "absent, or a text"),
    "verification": (_absent_or(_is_object), "absent, or an object of figures"),
    "clean": (_absent_or(_is_object), "absent, or an object of figures"),
    "versions": (_absent_or(_is_object), "absent, or an object of versions"),
    "decisions": (_absent_or(_is_object), "absent, or an object of figures"),
    "calibration": (_absent_or(_is_object), "absent, or an object of figures"),
    "purification": (_absent_or(_is_object), "absent, or an object of figures"),
}

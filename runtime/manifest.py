"""The bundle's manifest, `bundle.json`: the format's name and version, and the fields that readers rely on."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pixelproof
from pixelproof.errors import BundleError, in_clone, quote

MANIFEST = "bundle.json"
FORMAT = "pixelproof-bundle"
FORMAT_VERSION = 1
Fields = Mapping[str, tuple[Callable[[object], bool], str]]
"""By a field's name whether a value is fit for it, and in words what is."""


def damaged(bundle: Path, what: str) -> BundleError:
    """An error for a bundle that is not as it was exported."""
    return BundleError(
        f"bundle '{bundle}' is damaged: {what}. "
        f"Next: export it again with pixelproof export CLASSIFIER -o {quote(bundle)} --force"
    )


def parse_manifest(content: bytes, bundle: Path) -> dict[str, Any]:
    """The manifest in `content`, of a known version and with every field of the right kind, or a `BundleError`."""

    def unfit(what: str) -> BundleError:
        return damaged(bundle, what)

    manifest = parse_json(content, MANIFEST, unfit)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(
            f'\'{bundle}\' is not a pixelproof bundle: its {MANIFEST} does not say "format": "{FORMAT}". '
            f"Next: pixelproof export CLASSIFIER -o BUNDLE"
        )
    _check_version(manifest.get("format_version"), bundle)
    if "purifier" not in manifest:  # null says that there is none, and a lost key says nothing
        raise damaged(bundle, f"{MANIFEST} does not say whether there is a 'purifier'")
    check_fields(manifest, _FIELDS, MANIFEST, unfit)
    return manifest


def parse_json(content: bytes, where: str, unfit: Callable[[str], BundleError]) -> Any:  # noqa: ANN401  (any JSON)
    """The value in a file's `content`, or the error that `unfit` makes; `where` names the file in it."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise unfit(f"{where} ({len(content)} bytes) is not valid JSON") from None


def check_fields(values: Mapping[str, Any], fields: Fields, where: str, unfit: Callable[[str], BundleError]) -> None:
    """Raise the error that `unfit` makes unless each of `fields` is of the right kind in `values`."""
    for field, (holds, wanted) in fields.items():
        if not holds(values.get(field)):
            got = json.dumps(values.get(field))[:60]
            raise unfit(f"'{field}' in {where} must be {wanted}, got {got}")


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


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


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


def absent_or(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    """Whether a value is missing or null, or `holds`."""
    return lambda value: value is None or holds(value)


_DESCRIPTIONS = ("verification", "clean", "decisions", "calibration", "purification")
_TENSORS = (_is_tensors, "a list of tensors, each with name, dtype and shape")
_TEXT = (absent_or(is_text), "absent, or a text")
_FIELDS: Fields = {
    "precision": (is_text, "a text"),
    "inputs": _TENSORS,
    "outputs": _TENSORS,
    "image_size": (_is_size, "two whole numbers above 0, [H, W]"),
    "class_names": (_is_classes, "a list of one or more printable names"),
    "classifier": (_is_classifier, "an object with a name"),
    "purifier": (_is_purifier, "null, or an object with a name and a truth value 'suspicion_is_detector'"),
    "engines": (absent_or(_is_engines), "absent, or an object of engines, each with its sha256"),
    "files": (_is_files, "an object of files, each with its sha256 and nbytes"),
    "created": _TEXT,
    "pixelproof": _TEXT,
    "target": _TEXT,
    "versions": (absent_or(_is_object), "absent, or an object of versions"),
    **dict.fromkeys(_DESCRIPTIONS, (absent_or(_is_object), "absent, or an object of figures")),
}

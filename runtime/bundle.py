"""Reads a bundle's folder into memory, checking that it is whole and that nothing in it points outside."""

import difflib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pixelproof.errors import BundleError, UsageError, quote
from pixelproof.runtime.manifest import MANIFEST, damaged, is_sha256, parse_manifest
from pixelproof.runtime.onnx_bytes import has_external_data

PIPELINE = "pipeline.onnx"
CLASSIFIER = "classifier.onnx"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle in memory: `files` holds the very bytes that were compared with the manifest's hashes."""

    path: Path
    manifest: dict[str, Any]
    manifest_sha256: str
    files: dict[str, bytes]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that the bundle takes."""
        height, width = self.manifest["image_size"]
        return height, width

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of the probabilities."""
        return tuple(self.manifest["class_names"])

    @property
    def engines(self) -> dict[str, str]:
        """The SHA-256 of each TensorRT engine by its name; they are read when they are asked for."""
        return self.manifest.get("engines") or {}

    @property
    def has_purifier(self) -> bool:
        """Whether a purifier stands before the classifier."""
        return self.manifest["purifier"] is not None


def read_bundle(path: str | os.PathLike[str], *, manifest_sha256: str | None = None) -> Bundle:
    """Read the bundle in the folder `path`; each file is read once, and its bytes are what is checked and run.

    `manifest_sha256` (64 hex digits) is what `bundle.json` must hash to. The hashes inside a manifest catch
    damage; only this one catches a forger who rewrites the manifest too. Raises `BundleError`, and
    `UsageError` for what is no path.
    """
    if not isinstance(path, str | os.PathLike) or path == "":
        raise UsageError(f"expected the path of a bundle's folder, got {path!r}. Next: Pipeline('BUNDLE')")
    path = Path(path)
    content = _read_manifest(path)
    digest = hashlib.sha256(content).hexdigest()
    if manifest_sha256 is not None:
        _compare_manifest(path, digest, manifest_sha256)
    manifest = parse_manifest(content, path)
    required = {CLASSIFIER} | ({PIPELINE} if manifest["purifier"] is not None else set())
    if missing := required - manifest["files"].keys():
        raise damaged(path, f"{MANIFEST} lists no {', '.join(sorted(missing))}")
    files = {name: _read_file(path, name, entry) for name, entry in manifest["files"].items()}
    return Bundle(path, manifest, digest, files)


def _read_manifest(path: Path) -> bytes:
    if not path.exists():
        raise BundleError(
            f"there is no bundle '{path}'{_bundles_beside(path)}. Next: pixelproof export CLASSIFIER -o {quote(path)}"
        )
    if not path.is_dir() and (path.parent / MANIFEST).is_file():
        raise BundleError(
            f"'{path}' is a file of a bundle, and a bundle is its folder. Next: give {quote(path.parent)}"
        )
    if not path.is_dir():
        raise BundleError(
            f"'{path}' is a file, and a bundle is a folder with a {MANIFEST}; an ONNX classifier is made into one. "
            f"Next: pixelproof export {quote(path)} -o BUNDLE"
        )
    if not (path / MANIFEST).exists():
        raise BundleError(
            f"'{path}' is not a bundle: it has no {MANIFEST}{_bundles_beside(path / MANIFEST)}. "
            f"Next: pixelproof export CLASSIFIER -o BUNDLE"
        )
    return inside(path, MANIFEST).read_bytes()


def _bundles_beside(path: Path) -> str:
    """What bundles stand where `path` was looked for, the nearest name first."""
    folder = path.absolute().parent
    names = sorted(found.parent.name for found in folder.glob(f"*/{MANIFEST}")) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    names = near + [name for name in names if name not in near]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"; bundles there: {', '.join(names[:5])}{more}" if names else f"; there are no bundles in '{folder}'"


def _compare_manifest(path: Path, digest: str, expected: str) -> None:
    if not isinstance(expected, str) or not is_sha256(expected.lower()):
        raise UsageError(
            f"a manifest's SHA-256 has 64 hex digits, got '{expected}'; an inspection prints it. "
            f"Next: pixelproof inspect {quote(path)}"
        )
    if digest != expected.lower():
        raise BundleError(
            f"bundle '{path}' is not the one asked for: {MANIFEST} should have SHA-256 {expected.lower()} and has "
            f"{digest}. Next: fetch the bundle again from where the SHA-256 was published"
        )


def _read_file(bundle: Path, name: str, entry: dict[str, Any]) -> bytes:
    content = read_sized(inside(bundle, name), entry["nbytes"], f"'{name}'", lambda what: damaged(bundle, what))
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"]:
        raise damaged(bundle, f"'{name}' should have SHA-256 {entry['sha256'][:12]}... and has {digest[:12]}...")
    if name.endswith(".onnx"):
        _check_self_contained(bundle, name, content)
    return content


def read_sized(path: Path, nbytes: int, name: str, unfit: Callable[[str], BundleError]) -> bytes:
    """The bytes of the file at `path`, which has to have `nbytes`, or the error that `unfit` makes."""
    found = path.stat().st_size  # before the reading: a file of the wrong size may be of any size
    if found != nbytes:
        raise unfit(f"{name} should have {nbytes} bytes and has {found}")
    return path.read_bytes()


def inside(bundle: Path, name: str) -> Path:
    """The path of the file `name` in the folder, reached through no link; `BundleError` where there is none."""
    parts = PurePosixPath(name)
    odd = not name.isprintable() or any(mark in name for mark in "\\:") or str(parts) != name
    if odd or ".." in parts.parts or parts.is_absolute():
        raise _outside(bundle, f"{MANIFEST} names the file '{name}'")
    path = bundle / name
    if not path.exists():
        raise damaged(bundle, f"'{name}' is missing")
    if path.resolve() != bundle.resolve() / name:
        raise _outside(bundle, f"'{name}' is a link to '{path.resolve()}'")
    if not path.is_file():
        raise damaged(bundle, f"'{name}' is not a file")
    return path


def _outside(bundle: Path, what: str) -> BundleError:
    return BundleError(
        f"bundle '{bundle}' reaches outside its folder: {what}; a bundle's files are plain files inside it. "
        f"Next: do not run it; export it again with pixelproof export CLASSIFIER -o {quote(bundle)} --force"
    )


def _check_self_contained(bundle: Path, name: str, content: bytes) -> None:
    try:
        external = has_external_data(content)
    except ValueError as error:
        raise damaged(bundle, f"'{name}' is not an ONNX file ({error})") from None
    if external:
        raise _outside(bundle, f"'{name}' keeps tensors in another file (ONNX external data)")

"""Reading a bundle: what is whole is read as it stands, and every way of being broken is named."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from pixelproof.errors import BundleError, UsageError
from pixelproof.runtime import read_bundle

MakeBundle = Callable[..., Path]


def test_reads_what_was_written(make_bundle: MakeBundle):
    folder = make_bundle(size=(4, 6))
    content = (folder / "bundle.json").read_bytes()
    bundle = read_bundle(folder, manifest_sha256=hashlib.sha256(content).hexdigest().upper())
    assert bundle.image_size == (4, 6)
    assert bundle.class_names == ("red", "green", "blue")
    assert bundle.has_purifier
    assert bundle.manifest == json.loads(content)
    assert bundle.files == {name: (folder / name).read_bytes() for name in ("classifier.onnx", "pipeline.onnx")}


def test_a_path_may_be_a_text_and_nothing_else_is_one(make_bundle: MakeBundle):
    bundle = make_bundle()
    assert read_bundle(str(bundle)).manifest == read_bundle(bundle).manifest
    for path in ("", None, 3, b"bundle"):
        with pytest.raises(UsageError, match="expected the path of a bundle's folder"):
            read_bundle(path)


def test_many_bundles_beside_one_that_is_not_there_are_counted(make_bundle: MakeBundle):
    for name in "abcdefg":
        folder = make_bundle(name)
    with pytest.raises(BundleError, match="bundles there: a, b, c, d, e and 2 more"):
        read_bundle(folder.parent / "zzz")


def test_reads_a_bundle_through_a_link_to_its_folder(make_bundle: MakeBundle, tmp_path: Path):
    (tmp_path / "link").symlink_to(make_bundle())
    assert read_bundle(tmp_path / "link").class_names == ("red", "green", "blue")


@pytest.mark.parametrize("name", ["pipeline.onnx", "bundle.json"])
def test_a_file_of_a_bundle_is_told_to_be_one(make_bundle: MakeBundle, name: str):
    folder = make_bundle()
    with pytest.raises(BundleError, match="is a file of a bundle, and a bundle is its folder") as caught:
        read_bundle(folder / name)
    assert str(caught.value).endswith(f"Next: give {folder}")


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))


def set_field(field: str, value: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder, lambda manifest: manifest.update({field: value}))


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def alter(folder: Path) -> None:
    content = bytearray((folder / "pipeline.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "pipeline.onnx").write_bytes(content)


def list_file(name: str) -> Callable[[Path], None]:
    """List a file by a name that leaves the folder, with the right size and hash."""

    def change(folder: Path) -> None:
        secret = b"a file of somebody else's"
        (folder.parent / "secret").write_bytes(secret)
        entry = {"sha256": hashlib.sha256(secret).hexdigest(), "nbytes": len(secret)}
        edit(folder, lambda manifest: manifest["files"].update({name.format(folder.parent): entry}))

    return change


def link(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return change


def link_folder(folder: Path) -> None:
    list_file("engines/secret")(folder)
    (folder / "engines").symlink_to(folder.parent)


def external(folder: Path) -> None:
    """Move a weight into a file beside the graph, as `onnx.save(save_as_external_data=True)` does."""
    model = onnx.load(folder / "classifier.onnx")
    for tensor in model.graph.initializer:  # raw bytes: onnx moves no others
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, folder / "classifier.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    replace("classifier.onnx", (folder / "classifier.onnx").read_bytes())(folder)


def replace(name: str, content: bytes) -> Callable[[Path], None]:
    """Replace a file and its hash: the manifest is consistent."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)
        entry = {"sha256": hashlib.sha256(content).hexdigest(), "nbytes": len(content)}
        edit(folder, lambda manifest: manifest["files"].update({name: entry}))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write_manifest(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "bundle.json").write_bytes(content)


BROKEN = {
    "not there": (lambda folder: folder.rename(folder.parent / "bundel"), "no bundle .*bundles there: bundel"),
    "a file": (lambda folder: (folder.rename(folder.parent / "old"), folder.write_bytes(b"x")), "is a file"),
    "no manifest": (remove("bundle.json"), "has no bundle.json"),
    "truncated manifest": (cut("bundle.json"), "bundle.json .* is not valid JSON"),
    "empty manifest": (write_manifest(b""), r"bundle.json \(0 bytes\) is not valid JSON"),
    "deep manifest": (write_manifest(b"[" * 100_000), "is not valid JSON"),
    "manifest in no encoding": (write_manifest(b"\xff\xfe\xfd"), "is not valid JSON"),
    "manifest of another kind": (write_manifest(b"[1]"), "is not a pixelproof bundle"),
    "another format": (set_field("format", "savedmodel"), "is not a pixelproof bundle"),
    "newer format": (
        set_field("format_version", 2),
        "format version 2; .* up to version 1.*clone, git pull && pip install .$",
    ),
    "newer format, other fields": (
        lambda folder: edit(
            folder, lambda old: (old.clear(), old.update(format="pixelproof-bundle", format_version=9))
        ),
        "format version 9",
    ),
    "version no number": (set_field("format_version", True), "'format_version' .* whole number, got True"),
    "size of one number": (set_field("image_size", [32]), r"'image_size' .* two whole numbers .*got \[32\]"),
    "size of zero": (set_field("image_size", [0, 32]), "'image_size'"),
    "no classes": (set_field("class_names", []), "'class_names'"),
    "class with an escape sequence": (set_field("class_names", ["\x1b[2J"]), "'class_names'"),
    "no word on a purifier": (
        lambda folder: edit(folder, lambda manifest: manifest.pop("purifier")),
        "does not say whether there is a 'purifier'",
    ),
    "purifier with no word on suspicion": (set_field("purifier", {"name": "gated"}), "'purifier'"),
    "figures that are no object": (set_field("verification", 5), "'verification' .* an object of figures, got 5"),
    "versions that are no object": (set_field("versions", ["1"]), r"'versions' .* an object of versions, got \["),
    "decisions that are no object": (set_field("decisions", "all"), "'decisions' .* an object"),
    "calibration that is no object": (set_field("calibration", [1]), "'calibration' .* an object"),
    "purification that is no object": (set_field("purification", True), "'purification' .* an object"),
    "date that is no text": (set_field("created", 2026), "'created' .* a text, got 2026"),
    "version with an escape sequence": (set_field("pixelproof", "\x1b[2J"), "'pixelproof' .* a text"),
    "target that is no text": (set_field("target", {}), "'target' .* a text"),
    "engines that are no object": (set_field("engines", []), "'engines'"),
    "hash cut short": (set_field("files", {"classifier.onnx": {"sha256": "12", "nbytes": 1}}), "'files'"),
    "no entry for a graph": (set_field("files", {}), "lists no classifier.onnx, pipeline.onnx"),
    "graph missing": (remove("pipeline.onnx"), "'pipeline.onnx' is missing"),
    "graph truncated": (cut("pipeline.onnx"), r"'pipeline.onnx' should have \d+ bytes and has \d+"),
    "graph altered": (alter, "'pipeline.onnx' should have SHA-256"),
    "graph is no ONNX file": (replace("pipeline.onnx", b"\x08\x09:\xff\x01"), "not an ONNX file"),
    "folder above": (list_file("../secret"), "outside its folder.*'../secret'"),
    "folder above, hidden": (list_file("engines/../../secret"), "outside its folder"),
    "absolute path": (list_file("{0}/secret"), "outside its folder"),
    "Windows path": (list_file("..\\secret"), "outside its folder"),
    "Windows drive": (list_file("C:secret"), "outside its folder"),
    "linked graph": (link("pipeline.onnx"), "outside its folder: 'pipeline.onnx' is a link"),
    "linked manifest": (link("bundle.json"), "outside its folder: 'bundle.json' is a link"),
    "linked folder": (link_folder, "outside its folder: 'engines/secret' is a link"),
    "a pipe": (
        lambda folder: ((folder / "pipeline.onnx").unlink(), os.mkfifo(folder / "pipeline.onnx")),
        "not a file",
    ),
    "external data": (external, "'classifier.onnx' keeps tensors in another file"),
}


@pytest.mark.parametrize(("break_it", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_names_what_is_wrong(make_bundle: MakeBundle, break_it: Callable[[Path], object], message: str):
    folder = make_bundle()
    break_it(folder)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(folder)
    assert str(folder) in str(caught.value)
    assert "Next: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["created", "pixelproof", "target", "verification", "clean", "versions", "engines"])
def test_what_only_describes_may_be_absent(make_bundle: MakeBundle, field: str):
    folder = make_bundle()
    edit(folder, lambda manifest: manifest.pop(field, None))
    assert field not in read_bundle(folder).manifest


PASTED = {
    "not there": (lambda folder: folder.rename(folder.parent / "bundel"), ["export", "CLASSIFIER", "-o", "{}"]),
    "a file": (
        lambda folder: (folder.rename(folder.parent / "old"), folder.write_bytes(b"x")),
        ["export", "{}", "-o", "BUNDLE"],
    ),
    "damaged": (cut("pipeline.onnx"), ["export", "CLASSIFIER", "-o", "{}", "--force"]),
    "outside": (link("pipeline.onnx"), ["export", "CLASSIFIER", "-o", "{}", "--force"]),
}


@pytest.mark.parametrize(("break_it", "words"), PASTED.values(), ids=PASTED.keys())
def test_the_command_can_be_pasted_whatever_the_path(
    make_bundle: MakeBundle, break_it: Callable[[Path], object], words: list[str]
):
    folder = make_bundle("it's my bundle")
    break_it(folder)
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert pasted(str(caught.value)) == [word.format(folder) for word in words]


def test_a_wrong_hash_is_told_with_a_command_that_can_be_pasted(make_bundle: MakeBundle):
    folder = make_bundle("it's my bundle")
    with pytest.raises(UsageError, match="64 hex digits") as caught:
        read_bundle(folder, manifest_sha256="abc")
    assert pasted(str(caught.value)) == ["inspect", str(folder)]


def pasted(message: str) -> list[str]:
    """What bash gives to `pixelproof` of the command that ends an error."""
    command = "pixelproof " + message.partition("Next: ")[2].partition("pixelproof ")[2]
    script = f"pixelproof() {{ printf '%s\\n' \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_forged_manifest_is_caught_by_its_own_hash(make_bundle: MakeBundle):
    folder = make_bundle()
    published = hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()
    replace("pipeline.onnx", (folder / "classifier.onnx").read_bytes())(folder)
    read_bundle(folder)  # consistent in itself
    with pytest.raises(BundleError, match="is not the one asked for"):
        read_bundle(folder, manifest_sha256=published)


@pytest.mark.parametrize("digest", ["abc", "g" * 64, 5, b"0" * 64])
def test_a_manifest_hash_of_another_form_is_a_wrong_request(make_bundle: MakeBundle, digest: object):
    with pytest.raises(UsageError, match="64 hex digits"):
        read_bundle(make_bundle(), manifest_sha256=digest)

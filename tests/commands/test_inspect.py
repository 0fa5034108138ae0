"""`pixelproof inspect`: everything the manifest holds, after the files were checked."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorrt_stand_in import add_engine

MakeBundle = Callable[..., Path]


def test_json_is_the_checked_manifest(make_bundle: MakeBundle, run_cli):
    bundle = make_bundle()
    content = (bundle / "bundle.json").read_bytes()
    code, out, _ = run_cli("inspect", bundle, "--json")
    assert code == 0
    assert json.loads(out) == {
        "bundle": str(bundle),
        "manifest_sha256": hashlib.sha256(content).hexdigest(),
        "manifest": json.loads(content),
        "engines": {},
    }


def test_another_manifest_than_the_one_written_down_is_refused(make_bundle: MakeBundle, run_cli, refused):
    bundle = make_bundle()
    digest = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert run_cli("inspect", bundle, "--manifest-sha256", digest).code == 0
    assert "is not the one asked for" in refused(1, "inspect", bundle, "--manifest-sha256", "0" * 64)


def test_the_page_names_every_fact(make_bundle: MakeBundle, run_cli):
    bundle = make_bundle(verification={"probabilities": {"largest_difference": 2.5e-7}, "batches": [1, 2, 7]})
    code, out, _ = run_cli("inspect", bundle)
    assert code == 0
    manifest = json.loads((bundle / "bundle.json").read_text())
    facts = [
        hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest(),
        "pixelproof-bundle 1",
        manifest["created"],
        "fp32, for cpu",
        "means; source onnx; weights sha256 " + "0" * 64,
        "gated; weights sha256 " + "1" * 64,
        "4x6",
        "3: red, green, blue",
        "(batch, 4, 6, 3)",
        "probabilities: largest difference  2.5e-07",
        "[1, 2, 7]",
        *(entry["sha256"] for entry in manifest["files"].values()),
        *(f"{entry['nbytes']:,} bytes" for entry in manifest["files"].values()),
    ]
    assert [fact for fact in facts if fact not in out] == []
    assert "no sign of an attack" not in out


def test_a_lower_precisions_figures_are_told_and_what_was_measured_in_fp32_is_called_that(make_bundle, run_cli):
    bundle = make_bundle(
        precision="int8",
        verification={"precision": "fp32", "images": 200},
        decisions={"classifier": {"top1_agreement": 0.985}},
        purification={"pl": 0.01, "fooled": 87},
        calibration={"images": 12, "source": "12 images of folder 'mine'"},
    )
    out = run_cli("inspect", bundle).out
    for told in ("measured at export, in fp32", "decisions in int8, beside fp32's", "0.985", "fooled", "87", "'mine'"):
        assert told in out
    assert "decisions in" not in run_cli("inspect", make_bundle("full")).out


def test_an_autoencoder_and_no_purifier_are_said(make_bundle: MakeBundle, run_cli):
    assert "no sign of an attack" in run_cli("inspect", make_bundle("a", purifier="autoencoder")).out
    out = run_cli("inspect", make_bundle("b", purifier=None)).out
    assert [line.split() for line in out.splitlines() if line.startswith("purifier")] == [["purifier", "none"]]


@pytest.mark.parametrize("field", ["verification", "versions"])
def test_figures_of_the_wrong_kind_are_one_line(make_bundle: MakeBundle, refused, field: str):
    assert f"'{field}' in bundle.json must be absent, or an object" in refused(1, "inspect", make_bundle(**{field: 5}))


def test_a_damaged_bundle_is_one_line(make_bundle: MakeBundle, run_cli):
    bundle = make_bundle()
    (bundle / "pipeline.onnx").write_bytes(b"cut")
    code, out, err = run_cli("inspect", bundle)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "'pipeline.onnx' should have" in err


def test_engines_are_checked_and_told(make_bundle: MakeBundle, run_cli):
    bundle = make_bundle()
    add_engine(bundle)
    out = run_cli("inspect", bundle).out
    (line,) = (line for line in out.splitlines() if line.startswith("pipeline.tensorrt.9.0.engine"))
    sidecar = json.loads((bundle / "engines" / "pipeline.tensorrt.9.0.json").read_text())
    for fact in (f"{sidecar['nbytes']:,} bytes", "profile 2,4,6", "10.16.1 for Stand-in GPU", sidecar["engine_sha256"]):
        assert fact in line
    told = json.loads(run_cli("inspect", bundle, "--json").out)
    assert told["engines"] == {"pipeline.tensorrt.9.0.engine": sidecar}


@pytest.mark.parametrize("how", ["cut", "gone", "without its sidecar", "of another graph"])
def test_an_unfit_engine_is_named_behind_all_else(make_bundle: MakeBundle, run_cli, how: str):
    bundle = make_bundle()
    add_engine(bundle, name="pipeline.tensorrt.8.9.engine")
    add_engine(bundle, **({"onnx_sha256": "0" * 64} if how == "of another graph" else {}))
    engine = bundle / "engines" / "pipeline.tensorrt.9.0.engine"
    if how == "cut":
        engine.write_bytes(b"cut")
    elif how != "of another graph":
        (engine if how == "gone" else engine.with_suffix(".json")).unlink()
    code, out, err = run_cli("inspect", bundle)
    assert (code, err.count("\n")) == (1, 1)
    assert "engine 'pipeline.tensorrt.9.0.engine' of bundle" in err
    assert "--rebuild" in err
    assert hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest() in out
    code, out, _ = run_cli("inspect", bundle, "--json")
    assert (code, list(json.loads(out)["engines"])) == (1, ["pipeline.tensorrt.8.9.engine"])

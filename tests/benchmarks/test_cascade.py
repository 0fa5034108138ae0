"""A cascade discards no candidate that changes LeNet's label; the thousands of other networks are benchmarks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pixelproof.attack.evaluation import cascades as bfloat16
from pixelproof.benchmarks.cascade import validate_cascade
from pixelproof.errors import UsageError
from pixelproof.export import export_bundle
from pixelproof.models.data import sample


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same arithmetic without the compiler's half minute."""
    monkeypatch.setattr(bfloat16, "_compiled", lambda network, shape: None)


@pytest.mark.parametrize("cascade", ["int8", "bf16"])
def test_no_success_is_lost(cascade: str, lenet_median_bundle: Path):
    found = validate_cascade(lenet_median_bundle, cascade=cascade, successes=200, threads=1)
    assert (found["screen"], found["classifier"], found["conditions"]["threads"]) == (cascade, "lenet", 1)
    assert found["successes"] >= 200
    assert found["lost"]["count"] == 0
    assert found["largest_lead_at_a_success"] < found["margin"] / 2
    assert found["candidates"] == 8192 * found["images"]
    assert 0.2 < found["discarded"] < 1


@pytest.mark.usefixtures("uncompiled")
def test_a_whole_pipeline_is_swept_likewise(lenet_median_bundle: Path):
    """Two images that many corners fell bare, and few behind the purifier."""
    data = sample().take(np.array([1, 2]))
    bare, whole = (
        validate_cascade(lenet_median_bundle, cascade="bf16", protocol=protocol, data=data, threads=1)
        for protocol in ("transfer", "adaptive")
    )
    assert (bare["protocol"], bare["purifier"], whole["purifier"]) == ("transfer", None, "median")
    assert bare["candidates"] == whole["candidates"] == 2 * 8192
    assert bare["successes"] > whole["successes"] > 0 == whole["lost"]["count"]
    assert whole["largest_lead_at_a_success"] < whole["margin"] / 2
    assert 0.9 < whole["discarded"] < 1


@pytest.mark.parametrize("given", [{"margin": 0.0}, {"margin": -1.0}, {"within": 0.5}, {"margin": 2.0, "within": 1.0}])
def test_what_tells_nothing_is_refused(given: dict, lenet_median_bundle: Path):
    with pytest.raises(UsageError, match=r"tell nothing: .* Next: a margin above 0, and --within above it"):
        validate_cascade(lenet_median_bundle, cascade="bf16", **given)


@pytest.mark.usefixtures("uncompiled")
def test_what_cannot_be_swept_is_one_line(lenet_median_bundle: Path, tmp_path: Path):
    export_bundle("lenet", tmp_path / "bare", purifier="none")
    wrong = sample().take(np.array([4]))
    for message, given in (
        ("unknown protocol 'both'", {"protocol": "both"}),
        ("gets none of the images right", {"successes": 0}),
        ("gets none of the images right", {"data": replace(wrong, labels=(wrong.labels + 1) % 10)}),
    ):
        with pytest.raises(UsageError, match=message):
            validate_cascade(lenet_median_bundle, cascade="bf16", threads=1, **given)
    with pytest.raises(UsageError, match="has no purifier to adapt to"):
        validate_cascade(tmp_path / "bare", protocol="adaptive", threads=1)


@pytest.mark.usefixtures("uncompiled")
def test_the_commands_exit_code_tells_of_losses(lenet_median_bundle: Path, tmp_path: Path, run_cli):
    options = ["--cascade", "bf16", "--successes", "20", "--threads", "1", "-o", tmp_path / "validation.json"]
    line = ["bench", "cascade", lenet_median_bundle, *options]
    code, out, _ = run_cli(*line)
    assert code == 0
    assert json.loads((tmp_path / "validation.json").read_text()) == json.loads(out)
    assert run_cli(*line, "--margin", "1e-6").code == 1


@pytest.mark.usefixtures("uncompiled")
def test_float32_may_be_asked_only_of_what_is_within_some_nats(lenet_median_bundle: Path):
    asked = {"cascade": "bf16", "successes": 100, "threads": 1}
    full, some = (validate_cascade(lenet_median_bundle, **asked, **more) for more in ({}, {"within": 4.0}))
    assert full["asked_in_float32"] == full["candidates"]
    assert 0 < some["asked_in_float32"] < some["candidates"]
    for name in ("images", "candidates", "successes", "lost", "discarded", "largest_lead_at_a_success"):
        assert some[name] == pytest.approx(full[name], abs=1e-6)
    assert (full["within"], some["within"]) == (None, 4.0)


def test_a_cascade_that_there_is_not_is_named(lenet_median_bundle: Path):
    with pytest.raises(UsageError, match=r"unknown cascade 'fp8'; there are: bf16, int8\. Next: .*--cascade"):
        validate_cascade(lenet_median_bundle, cascade="fp8")

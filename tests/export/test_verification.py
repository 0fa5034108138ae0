"""What the export measures of what it wrote."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.export import export_bundle
from pixelproof.export.reference import real_images
from pixelproof.models.data import adversarial_sample, sample
from pixelproof.runtime import Pipeline


def test_an_alarm_can_be_set_by_the_manifest(lenet_median_bundle: Path):
    """The percentiles are the clean images' own, and what fools the bare classifier is mostly above them."""
    with Pipeline(lenet_median_bundle) as pipeline:
        told = pipeline.manifest["verification"]["pipeline"]["suspicion_percentiles"]
        clean = pipeline(real_images((32, 32))).suspicion
        attacked = adversarial_sample("lenet", pipeline.manifest["classifier"]["weights_sha256"])
        suspicion = pipeline(attacked.images).suspicion
    assert told == {p: pytest.approx(np.percentile(clean, int(p)), abs=1e-6) for p in ("50", "90", "99")}
    assert (suspicion > told["99"]).mean() > 0.9


def test_an_alarm_can_be_set_by_ones_own_images(tmp_path: Path):
    mine = sample().take(slice(0, 60, 2))
    bundle = export_bundle("lenet", tmp_path / "bundle", purifier="median", test=mine)
    told = bundle.manifest["verification"]["pipeline"]
    assert told["suspicion_source"] == "30 images given to the export"
    with Pipeline(bundle.path) as pipeline:
        clean = pipeline(mine.images).suspicion
    assert told["suspicion_percentiles"] == {
        p: pytest.approx(np.percentile(clean, int(p)), abs=1e-6) for p in ("50", "90", "99")
    }

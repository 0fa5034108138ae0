"""What the export measures of what it wrote."""

from pathlib import Path

import numpy as np
import pytest

from pixelproof.export.reference import real_images
from pixelproof.models.data import adversarial_sample
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

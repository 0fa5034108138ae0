"""More images cost each no more; 7,500 are a benchmark."""

from pathlib import Path

import numpy as np

from pixelproof.attack import attack
from pixelproof.attack.evaluation.victims import bare_classifier
from pixelproof.benchmarks.endurance import grow
from pixelproof.models.data import sample
from pixelproof.runtime import Pipeline


def test_each_number_is_attacked_anew(lenet_median_bundle: Path):
    """From the first image on, with what an attack by the library finds."""
    found = grow(lenet_median_bundle, sizes=(3, 6))
    assert (found["classifier"], found["conditions"]["threads"]) == ("lenet", 1)
    with Pipeline(lenet_median_bundle, part="classifier", threads=1) as bare:
        right = np.flatnonzero(bare(sample().images).labels == sample().labels)
        victim = bare_classifier(bare)
        for row, size in zip(found["rows"], (3, 6), strict=True):
            shown = sample().take(right[:size])
            alone = attack(victim.predict, shown.images, shown.labels, order=victim.order)
            assert (row["images"], row["success"]) == (size, alone.success.mean())
            assert row["queries_per_image"] == alone.queries.mean()
            assert row["seconds_per_image"] > 0
            assert 30 < row["peak_mib"] < 2000

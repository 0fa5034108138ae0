"""Small hand-made results, in the shape of the agreed format."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelproof.benchmarks.conditions import Conditions
from pixelproof.benchmarks.defense import DefenseResults, DefenseRow, PaperFigures
from pixelproof.benchmarks.gallery import Example, Positions, Prediction
from pixelproof.benchmarks.latency import LatencyResults, LatencyRow
from pixelproof.statistics import Share

CONDITIONS = Conditions(
    provider="CPUExecutionProvider",
    cpu="AMD EPYC 9V74",
    cores=2,
    threads=None,
    versions={"python": "3.11.2", "onnxruntime": "1.32.0"},
    seed=0,
    data="CIFAR-10 test, first 1,000 that the bare classifier gets right",
    command="pixelproof bench defense lenet-gated",
)


def png(image: np.ndarray) -> bytes:
    """A uint8 `(H, W, 3)` image as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "png")
    return content.getvalue()


def defense_row(**fields: Any) -> DefenseRow:
    values: dict[str, Any] = {
        "classifier": "lenet",
        "purifier": "gated",
        "method": "corners",
        "pixels": 1,
        "n": 1000,
        "clean_accuracy": Share(7450, 10000),
        "attack_success": Share(634, 1000),
        "success_after": Share(12, 1000),
        "defense_rate": Share(622, 634),
        "performance_loss": Share(5, 1000),
        "adaptive_success": Share(210, 1000),
        "queries_median": 31.0,
        "queries_p90": 8192.0,
        "seconds_per_image": 0.052,
        "adaptive_queries_median": 9000.0,
        "adaptive_queries_p90": 16384.0,
        "adaptive_seconds_per_image": 0.31,
        "paper": PaperFigures(0.612, 0.217, 0.645, 0.192),
    }
    return DefenseRow(**(values | fields))


def example(**fields: Any) -> Example:
    image = np.full((8, 8, 3), 90, np.uint8)
    attacked = image.copy()
    attacked[2, 5] = 255, 0, 0
    values: dict[str, Any] = {
        "classifier": "lenet",
        "purifier": "gated",
        "protocol": "transfer",
        "image_index": 17,
        "label": "cat",
        "original": png(image),
        "attacked": png(attacked),
        "purified": png(image),
        "pixels": ((2, 5),),
        "before": Prediction("cat", 0.91),
        "after": Prediction("dog", 0.62),
        "after_purified": Prediction("cat", 0.905),
    }
    return Example(**(values | fields))


@pytest.fixture
def defense() -> DefenseResults:
    counts = tuple(tuple(int(row == 2 and column == 5) * 7 for column in range(8)) for row in range(8))
    return DefenseResults(
        created="2026-01-31T12:00:00+00:00",
        conditions=CONDITIONS,
        rows=(
            defense_row(),
            defense_row(purifier="median", method="de", n=200, adaptive_success=None, paper=None),
        ),
        gallery=(example(), example(protocol="adaptive", after_purified=Prediction("dog", 0.55))),
        positions=(Positions("lenet", None, "transfer", (8, 8), counts),),
    )


@pytest.fixture
def latency() -> LatencyResults:
    return LatencyResults(
        created="2026-01-31T12:05:00+00:00",
        conditions=CONDITIONS,
        classifier="lenet",
        purifier="gated",
        precision="fp32",
        image_size=(8, 8),
        rows=(
            LatencyRow(
                "ONNX, fused graph", "CPUExecutionProvider", 1, 100, 0.412, 0.433, 0.51, 0.031, 2427.2, 3.1, 71.5
            ),
            LatencyRow(
                "ONNX, bare classifier", "CPUExecutionProvider", 1, 100, 0.133, 0.14, 0.2, 0.08, 7518.8, 1.0, None
            ),
        ),
        notes=("times vary by more than 5%",),
    )

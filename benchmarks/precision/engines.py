"""Builds a classifier's engines of every precision; no GPU is needed, and none is run."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelproof.benchmarks.formats import EngineRow
from pixelproof.export.engines import build_engine

_FLAVOR = "tensorrt-rtx"
_PRECISIONS = {"fp32": "fp32", "fp16": "fp16", "int8 for TensorRT": "int8"}


def build_all(
    classifier: str, folder: Path, capabilities: Sequence[str], progress: Callable[[str, int, int], None]
) -> list[EngineRow]:
    """Build the engines of the bundles in `folder`, one a precision and compute capability."""
    rows: list[EngineRow] = []
    for bundle, precision in _PRECISIONS.items():
        for capability in capabilities:
            progress(f"engines of {classifier}", len(rows), len(_PRECISIONS) * len(capabilities))
            started = time.perf_counter()
            path = build_engine(folder / bundle, flavor=_FLAVOR, capability=capability)
            seconds = time.perf_counter() - started
            sidecar = json.loads(path.with_suffix(".json").read_text())
            share = sidecar["lower_precision_shares"].get(precision, 1.0)
            rows.append(EngineRow(classifier, precision, _FLAVOR, capability, sidecar["nbytes"], seconds, share))
    return rows

"""What the benchmarks measure and the report shows, as dataclasses; `results_file` writes and reads them."""

from pixelproof.benchmarks.formats.attacking import (
    AttackSpeedResults,
    AttackSpeedRow,
    CandidateCost,
    LayerResults,
    LayerRow,
)
from pixelproof.benchmarks.formats.attacking_on_gpu import KernelResults, KernelRow
from pixelproof.benchmarks.formats.common import Conditions, Share
from pixelproof.benchmarks.formats.defence import (
    DefenceResults,
    DefenceRow,
    Example,
    PaperFigures,
    Positions,
    Prediction,
    TechniqueResults,
    TechniqueRow,
)
from pixelproof.benchmarks.formats.precision import EngineRow, PrecisionResults, PrecisionRow
from pixelproof.benchmarks.formats.running import (
    ColdStart,
    LatencyResults,
    LatencyRow,
    MemorySample,
    SoakResults,
    SoakRow,
)
from pixelproof.benchmarks.formats.training import TrainingResults

__all__ = [
    "AttackSpeedResults",
    "AttackSpeedRow",
    "CandidateCost",
    "ColdStart",
    "Conditions",
    "DefenceResults",
    "DefenceRow",
    "EngineRow",
    "Example",
    "KernelResults",
    "KernelRow",
    "LatencyResults",
    "LatencyRow",
    "LayerResults",
    "LayerRow",
    "MemorySample",
    "PaperFigures",
    "Positions",
    "PrecisionResults",
    "PrecisionRow",
    "Prediction",
    "Results",
    "Share",
    "SoakResults",
    "SoakRow",
    "TechniqueResults",
    "TechniqueRow",
    "TrainingResults",
]

Results = (
    DefenceResults
    | LatencyResults
    | TechniqueResults
    | AttackSpeedResults
    | LayerResults
    | SoakResults
    | KernelResults
    | PrecisionResults
)
"""What `pixelproof bench` measures."""

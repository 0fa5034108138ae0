"""What the benchmarks measure and the report shows, as dataclasses; `results_file` writes and reads them."""

from pixelproof.benchmarks.formats.attacking import (
    AttackSpeedResults,
    AttackSpeedRow,
    CandidateCost,
    LayerResults,
    LayerRow,
)
from pixelproof.benchmarks.formats.attacking_on_gpu import KernelResults, KernelRow
from pixelproof.benchmarks.formats.common import Conditions
from pixelproof.benchmarks.formats.defense import (
    DefenseResults,
    DefenseRow,
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
    "DefenseResults",
    "DefenseRow",
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
    "SoakResults",
    "SoakRow",
    "TechniqueResults",
    "TechniqueRow",
    "TrainingResults",
]

Results = (
    DefenseResults
    | LatencyResults
    | TechniqueResults
    | AttackSpeedResults
    | LayerResults
    | SoakResults
    | KernelResults
    | PrecisionResults
)
"""What `pixelproof bench` measures."""

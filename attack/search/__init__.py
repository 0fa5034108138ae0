"""What a search is made of: the protocol between scheduler and methods, the driver, candidates, criteria, results."""

from pixelproof.attack.search.protocol import (
    Candidates,
    Fitness,
    Method,
    Plan,
    Predict,
    Predictor,
    Problem,
    Search,
    as_predictor,
)

__all__ = [
    "Candidates",
    "Fitness",
    "Method",
    "Plan",
    "Predict",
    "Predictor",
    "Problem",
    "Search",
    "as_predictor",
]

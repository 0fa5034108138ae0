"""What a search is made of: the protocol between scheduler and methods, the driver, candidates, criteria, results."""

from pixelproof.attack.search.protocol import Candidates, Fitness, Method, OfChanges, Plan, Predict, Problem, Search

__all__ = ["Candidates", "Fitness", "Method", "OfChanges", "Plan", "Predict", "Problem", "Search"]

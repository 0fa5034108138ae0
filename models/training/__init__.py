"""Training of the shipped networks: recipes, the loop with its checkpoints, and what each kind of network learns."""

from pixelproof.models.training.recipes import RECIPES, Recipe
from pixelproof.models.training.run import train

__all__ = ["RECIPES", "Recipe", "train"]

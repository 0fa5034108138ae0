"""Training of the shipped networks: recipes, the loop with its checkpoints, and what each kind of network learns."""

from pixelproof.models.training.recipes import RECIPES, Recipe, recipe_for
from pixelproof.models.training.run import train

__all__ = ["RECIPES", "Recipe", "recipe_for", "train"]

"""Training of the shipped networks: recipes, the loop with its checkpoints, and what each kind of network learns."""

from pixelproof.models.recipe import Recipe
from pixelproof.models.registry import recipe_for
from pixelproof.models.training.run import train

__all__ = ["Recipe", "recipe_for", "train"]

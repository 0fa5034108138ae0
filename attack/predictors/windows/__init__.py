"""Candidates computed by windows laid into the clean image's activations."""

"""Counts the successes that a screen would lose."""

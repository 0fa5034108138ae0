"""Cheaper networks that screen a search's candidates: the same classifier in lower precision."""

from pixelproof.attack.evaluation.screening.screens import SCREENS, Screen, check_screen, open_screen

__all__ = ["SCREENS", "Screen", "check_screen", "open_screen"]

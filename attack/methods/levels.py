"""`levels`: every position x L^3 evenly spaced colors of a box."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pixelproof.attack.methods.grid_search import GridSearch
from pixelproof.attack.methods.orders import Order
from pixelproof.attack.search.checks import checked_number
from pixelproof.attack.search.colors import box_table
from pixelproof.attack.search.protocol import Plan, Problem


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Each channel at one of L levels from the low to the high end of its box, both included.

    Args:
        levels: L, 2 to 16.
        order: as for `Corners`.
        low: as for `Corners`.
        high: as for `Corners`.
    """

    is_random: ClassVar = False
    levels: int = 4
    order: Order | None = None
    low: Any = 0
    high: Any = 255

    def __post_init__(self) -> None:
        checked_number("levels", self.levels, 2, 16)

    def plan(self, problem: Problem) -> Plan:
        """The plan for a problem; raises `UsageError` where the box does not fit its images."""
        return GridSearch(problem, box_table(self.low, self.high, self.levels, problem.images.shape), self.order).plan()

"""The statistics behind the tables."""

from dataclasses import dataclass
from math import sqrt

_Z_95 = 1.959963984540054  # the standard normal's 97.5 % quantile


def wilson_interval(count: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of the share `count` of `n`, 0 to 1, without continuity correction.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927. Raises
    `ValueError` unless 0 <= count <= n and n > 0.
    """
    if not 0 <= count <= n or n == 0:
        raise ValueError(f"expected 0 <= count <= n and n > 0, got {count} of {n}")
    share, spread = count / n, _Z_95**2 / n
    center = (share + spread / 2) / (1 + spread)
    reach = sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return (0.0 if count == 0 else center - reach), (1.0 if count == n else center + reach)


@dataclass(frozen=True)
class Share:
    """`count` of `n`, with its 95 % Wilson interval; the figures are None where n is 0."""

    count: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.n:
            raise ValueError(f"count must be 0 to n, got {self.count} of {self.n}")

    @property
    def value(self) -> float | None:
        """The share, 0 to 1."""
        return self.count / self.n if self.n else None

    @property
    def low(self) -> float | None:
        """The interval's lower end."""
        return wilson_interval(self.count, self.n)[0] if self.n else None

    @property
    def high(self) -> float | None:
        """The interval's upper end."""
        return wilson_interval(self.count, self.n)[1] if self.n else None

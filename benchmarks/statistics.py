"""The statistics behind the tables."""

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
    centre = (share + spread / 2) / (1 + spread)
    reach = sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return (0.0 if count == 0 else centre - reach), (1.0 if count == n else centre + reach)

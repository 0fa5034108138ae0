"""What every result file has: shares with their intervals, and conditions."""

from dataclasses import dataclass

from pixelproof.benchmarks.statistics import wilson_interval


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


@dataclass(frozen=True)
class Conditions:
    """Where and how something was measured."""

    provider: str
    """The execution provider that really ran."""
    cpu: str
    cores: int
    threads: int | None
    """CPU threads a call might use; None: one a core."""
    versions: dict[str, str]
    seed: int | None
    data: str
    command: str

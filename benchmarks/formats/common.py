"""What every result file has: conditions."""

from dataclasses import dataclass


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

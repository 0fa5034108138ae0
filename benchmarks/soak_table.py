"""The table of a soak: time and memory of the same work over and over, and how long a cold process takes."""

from pixelproof.benchmarks.formats import ColdStart, SoakResults, SoakRow
from pixelproof.benchmarks.layout import NOTHING, Cell, Row, Table

_HEADINGS = ("work", "count", "seconds", "ms each", "MiB, first", "MiB, last", "growth, MiB")
_NOTE = (
    "Resident set of a process that does nothing else, interpreter and libraries included. Growth: its median over the "
    "last quarter of the work less that over the second."
)


def soak_layout(results: SoakResults) -> Table:
    """A row a kind of work; the cold starts stand below."""
    subject = results.classifier if results.purifier is None else f"{results.classifier} behind {results.purifier}"
    notes = (_NOTE, *map(_start, results.starts))
    return Table(f"Soak of {subject}", _HEADINGS, 1, 0, tuple(Row(_cells(row)) for row in results.rows), notes)


def _cells(row: SoakRow) -> tuple[Cell, ...]:
    ends = [f"{row.memory[end].mib:,.1f}" if row.memory else NOTHING for end in (0, -1)]
    return (
        Cell(row.work),
        Cell(f"{row.count:,}"),
        Cell(f"{row.seconds:,.1f}"),
        Cell(f"{1e3 * row.seconds / row.count:,.3f}"),
        *map(Cell, ends),
        Cell(NOTHING if row.growth_mib is None else f"{row.growth_mib:+,.1f}"),
    )


def _start(start: ColdStart) -> str:
    return (
        f"{start.what}: {start.median_ms:,.0f} ms from the start of a new process (median of {start.runs}; slowest "
        f"{start.slowest_ms:,.0f})."
    )

"""Plain tables on stdout: aligned columns that neither wrap nor fold, so that a pipe can read them."""

from collections.abc import Iterable, Sequence

import typer


def print_table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Print one row or more, under `header` where there is one, each column as wide as its widest cell."""
    lines = [[_printable(cell) for cell in line] for line in (header, *rows) if line]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """`text` without what could steer a terminal: file names and manifests are other people's."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)

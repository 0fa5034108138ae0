"""A table as texts in cells, and how it is written in Markdown and on the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from pixelproof.statistics import Share


NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """A figure or a name; `detail` is what stands smaller beside or below it."""

    text: str
    detail: str = ""
    warns: bool = False
    """Whether the figure is to be read with caution."""


@dataclass(frozen=True)
class Row:
    """Cells, one a column; `reported` says that another work reports them and that they were not measured here."""

    cells: tuple[Cell, ...]
    reported: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under headings, of which the first `names` head columns of text and the others columns of figures."""

    caption: str
    headings: tuple[str, ...]
    names: int
    group: int
    """The column whose change starts a new group of rows."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def percent(share: float | None) -> str:
    """A share, 0 to 1, as "63.4 %"."""
    return NOTHING if share is None else f"{share * 100:.1f} %"


def share_cell(share: "Share | None") -> Cell:
    """A share and its interval."""
    if share is None or share.low is None or share.high is None:
        return Cell(NOTHING)
    return Cell(percent(share.value), f"{share.low * 100:.1f}–{share.high * 100:.1f}")


def markdown(table: Table) -> str:
    """The table in Markdown, its notes below; ends in a line break."""
    ruler = [":--" if column < table.names else "--:" for column in range(len(table.headings))]
    lines = [_line(table.headings), _line(ruler), *(_line([_inline(cell) for cell in row.cells]) for row in table.rows)]
    notes = [f"- {escaped(note)}" for note in table.notes]
    return "\n".join([table.caption, "", *lines, *([""] if notes else []), *notes]) + "\n"


def rich_table(table: Table) -> "RichTable":
    """The table for a terminal: names under one another, details under their figures."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    def names(row: Row) -> Text:
        first, *others = (cell.text for cell in row.cells[: table.names])
        return Text("\n").join([Text(first, style="bold"), *map(Text, others)])

    def figure(cell: Cell) -> Text:
        text = Text(cell.text, style="yellow" if cell.warns else "")
        return text.append(f"\n{cell.detail}", style="dim") if cell.detail else text

    drawn = RichTable(
        title=table.caption, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    drawn.add_column(Text("\n".join(table.headings[: table.names])))
    for heading in table.headings[table.names :]:
        drawn.add_column(Text(heading.replace(" ", "\n")), justify="right")
    for number, row in enumerate(table.rows):
        if number and row.cells[table.group].text != table.rows[number - 1].cells[table.group].text:
            drawn.add_section()
        drawn.add_row(names(row), *map(figure, row.cells[table.names :]), style="italic" if row.reported else "")
    return drawn


def print_table(table: Table) -> None:
    """Print the table and its notes on stdout: a pipe gets all of it, a narrow terminal the columns that fit."""
    from rich.console import Console

    console = Console(highlight=False)
    whole = len(table.headings)
    while (width := _width(table, console)) > console.width and console.is_terminal and len(table.headings) > 2:
        table = _without_last_column(table)
    console.width = max(console.width, width)
    console.print(rich_table(table))
    for note in table.notes:
        console.print(f"- {note}", markup=False)
    if missing := whole - len(table.headings):
        console.print(f"- {missing} more columns need a wider terminal; they are in the result files")


def _width(table: Table, console: "Console") -> int:
    return console.measure(rich_table(table), options=console.options.update(max_width=10_000)).maximum


def _without_last_column(table: Table) -> Table:
    rows = tuple(replace(row, cells=row.cells[:-1]) for row in table.rows)
    return replace(table, headings=table.headings[:-1], rows=rows)


def escaped(text: str) -> str:
    """`text` so that Markdown reads no column, tag or line break in it: names come from bundles and files."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _inline(cell: Cell) -> str:
    text = escaped(cell.text) + (f" ({escaped(cell.detail)})" if cell.detail else "")
    return f"{text} !" if cell.warns else text

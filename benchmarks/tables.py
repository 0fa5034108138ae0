"""Tables: one description of columns and rows, written as Markdown, CSV or LaTeX, on a terminal, and in the report."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
class Column:
    """One column: its heading, and what of a row stands in it, a text or a `Cell`."""

    heading: str
    of: Callable[[Any], Cell | str]
    is_text: bool = False
    """Whether it holds names, which are aligned to the left and come before all figures."""


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


def make_table(
    caption: str, columns: Sequence[Column], rows: Iterable[Any], notes: Iterable[str] = (), *, group: int = 0
) -> Table:
    """The table of `rows`, each of what the columns take, or a `Row` that is made already."""
    made = tuple(
        row if isinstance(row, Row) else Row(tuple(_cell(column.of(row)) for column in columns)) for row in rows
    )
    headings = tuple(column.heading for column in columns)
    return Table(caption, headings, sum(column.is_text for column in columns), group, made, tuple(notes))


def reported_row(columns: Sequence[Column], texts: dict[str, str]) -> Row:
    """A row that another work reports, from its texts by heading; a dash stands in every other column."""
    return Row(tuple(Cell(texts.get(column.heading, NOTHING)) for column in columns), reported=True)


def _cell(value: Cell | str) -> Cell:
    return Cell(value) if isinstance(value, str) else value


def number(value: float | None, digits: int = 0) -> str:
    """A figure with thousands separated and so many digits behind the point; a dash where it is None."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share, 0 to 1, as "63.4 %"."""
    return NOTHING if share is None else f"{share * 100:.{digits}f} %"


def share_cell(share: "Share | None") -> Cell:
    """A share and its 95 % interval."""
    if share is None or share.low is None or share.high is None:
        return Cell(NOTHING)
    return Cell(percent(share.value), f"{share.low * 100:.1f}–{share.high * 100:.1f}")


def markdown(table: Table) -> str:
    """The table in Markdown, its caption above and its notes below; ends in a line break."""
    notes = [f"- {escaped(note)}" for note in table.notes]
    return "\n".join([table.caption, "", *markdown_rows(table), *([""] if notes else []), *notes]) + "\n"


def markdown_rows(table: Table) -> list[str]:
    """The lines of the table in Markdown, without caption and notes."""
    ruler = [":--" if column < table.names else "--:" for column in range(len(table.headings))]
    return [_line(table.headings), _line(ruler), *(_line([_inline(cell) for cell in row.cells]) for row in table.rows)]


def csv_text(table: Table) -> str:
    """The table as CSV: a column a heading, details in brackets; without caption and notes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.headings)
    writer.writerows([_plain(cell) for cell in row.cells] for row in table.rows)
    return text.getvalue()


def latex(table: Table) -> str:
    """The table as a LaTeX `table` with `booktabs` rules; without the notes, which are for the text around it."""
    alignment = "l" * table.names + "r" * (len(table.headings) - table.names)
    lines = [r"\begin{table}", rf"\caption{{{_tex(table.caption)}}}", rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    lines += [_tex_line(table.headings), r"\midrule"]
    for index, row in enumerate(table.rows):
        if index and _starts_group(table, index):
            lines.append(r"\midrule")
        lines.append(_tex_line([_plain(cell) for cell in row.cells]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


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
    for index, row in enumerate(table.rows):
        if index and _starts_group(table, index):
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


def escaped(text: str) -> str:
    """`text` so that Markdown reads no column, tag or line break in it: names come from bundles and files."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _starts_group(table: Table, index: int) -> bool:
    return table.rows[index].cells[table.group].text != table.rows[index - 1].cells[table.group].text


def _width(table: Table, console: "Console") -> int:
    return console.measure(rich_table(table), options=console.options.update(max_width=10_000)).maximum


def _without_last_column(table: Table) -> Table:
    rows = tuple(replace(row, cells=row.cells[:-1]) for row in table.rows)
    return replace(table, headings=table.headings[:-1], rows=rows)


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _plain(cell: Cell) -> str:
    text = f"{cell.text} ({cell.detail})" if cell.detail else cell.text
    return f"{text} !" if cell.warns else text


def _inline(cell: Cell) -> str:
    return escaped(_plain(cell))


def _tex_line(texts: Sequence[str]) -> str:
    return " & ".join(map(_tex, texts)) + r" \\"


def _tex(text: str) -> str:
    """`text` with what LaTeX would read as a command spelled out."""
    special = {"\\": r"\textbackslash{}", "–": "--", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
    return "".join(special.get(mark, " " if mark == "\n" else mark) for mark in text)

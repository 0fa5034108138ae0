"""What several commands share: options, checks of them, and plain tables."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from pixelproof.errors import UsageError

_OLD_NAMES = {"--screen": "--cascade"}
Number = TypeVar("Number", int, float)
_EXAMPLES = {"--batch": "1,8,64,256", "--images": "50,10"}
Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="CIFAR-10 (a folder or .tar.gz), or your own images: a folder with a subfolder for each class.",
        show_default="CIFAR-10 in $PIXELPROOF_DATA, user cache",
    ),
]
Cifar10 = Annotated[
    Path | None,
    typer.Option("--data", help="CIFAR-10: a folder or .tar.gz.", show_default="$PIXELPROOF_DATA, user cache"),
]
Sample = Annotated[bool, typer.Option("--sample", help="Take the 200 shipped images instead.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads a call may use.", show_default="one a core")
]
Results = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write results as JSON here, and as Markdown beside it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AttackBackend = Annotated[
    str, typer.Option("--attack-backend", help="auto, cpu or cuda (de; sweeps of one pixel run in a cascade there).")
]

Population = Annotated[int, typer.Option(min=4, help="Of de: candidates a generation.")]
Generations = Annotated[int, typer.Option(min=0, help="Of de: generations after the first.")]
Cascade = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="On the CPU, leave out what the shipped classifier in int8 or bf16 is sure of: no proof.",
        show_default="every candidate is tried",
    ),
]
OwnCode = Annotated[
    bool,
    typer.Option(
        "--own-code",
        help="Import purifiers of your own (MODULE:FUNCTION in a bundle's manifest): those with `accepted_colors` "
        "state to the adaptive attacker which colors they let pass.",
    ),
]
Records = Annotated[
    Path, typer.Option("--records", help="Folder of what came of each image; the same command resumes from there.")
]


class WithOldNames(TyperCommand):
    """A command that takes its options by their old names too, for one release, with a line on stderr for each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  (Click's context, from Click or Typer)
        """See `click.Command`; an old name stands for the new one."""
        return super().parse_args(ctx, [_new_name(each) for each in args])


def _new_name(argument: str) -> str:
    option, equals, value = argument.partition("=")
    if option not in _OLD_NAMES:
        return argument
    typer.echo(f"{option} is {_OLD_NAMES[option]} now; the next release has that one", err=True)
    return f"{_OLD_NAMES[option]}{equals}{value}"


def check_data(data: Path | None, sample: bool) -> None:
    """Refuse two sets of images."""
    if sample and data is not None:
        raise UsageError(f"--sample and --data {data} are both given. Next: leave out one of them")


def typed() -> str:
    """The command as it was typed, for the record."""
    return shlex.join(["pixelproof", *sys.argv[1:]])


def parsed(option: str, text: str, kind: type[Number], what: str, example: str) -> list[Number]:
    """The numbers in `text`, separated by commas, which was given for `option`; `what` and `example` of the error."""
    try:
        return [kind(value) for value in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} takes {what}, got '{text}'. Next: {option} {example}") from None


def height_and_width(text: str) -> list[int]:
    """The whole numbers that were given for --size; how many there have to be is checked elsewhere."""
    return parsed("--size", text, int, "two whole numbers, H,W", "32,32")


def numbers(option: str, text: str) -> list[int]:
    """The whole numbers of 1 or more that were given for `option`."""
    what = "whole numbers of 1 or more"
    found = parsed(option, text, int, what, _EXAMPLES[option])
    if min(found) < 1:
        raise UsageError(f"{option} takes {what}, got '{text}'. Next: {option} {_EXAMPLES[option]}")
    return found


def print_table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Print one row or more on stdout, under `header` where there is one, each column as wide as its widest cell.

    The columns neither wrap nor fold, so that a pipe can read them.
    """
    lines = [[_printable(cell) for cell in line] for line in (header, *rows) if line]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    """`text` without what could steer a terminal: file names and manifests are other people's."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)

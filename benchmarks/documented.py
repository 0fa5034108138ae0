"""`pixelproof bench tables`: writes the measured tables of README and docs from the result files, or finds drift.

A table stands between two comments, `<!-- table: NAME -->` and `<!-- end -->`. To add one, write a function here that
makes it of the folder of results, and list it in `TABLES`.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from pixelproof.benchmarks.defense import PAPER, STATED_MEAN_D_SUC, DefenseRow
from pixelproof.benchmarks.results import read_results
from pixelproof.benchmarks.tables import Column, Table, make_table, markdown_rows, number, percent, share_cell
from pixelproof.errors import UsageError, unknown_name
from pixelproof.files import write_text
from pixelproof.models import NETWORKS, PURIFIERS
from pixelproof.statistics import Share

_ORDER = ("lenet", "resnet", "nin", "pure_cnn", "densenet", "wide_resnet")
NAMES = {name: NETWORKS[name].title for name in _ORDER}
"""What the shipped classifiers are called in prose, in the order of the tables."""
_FIRST = {"lenet": 100, "resnet": 40}  # images that every search together attacked; 10 of the others
_SMALL = 30  # of fewer images a share is given as a count
_TABLE = re.compile(r"(<!-- table: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def write_tables(path: Path, results: Path, *, check: bool = False) -> list[str]:
    """Write the tables of a Markdown file anew, each between its comments.

    Args:
        path: the file.
        results: the folder of result files.
        check: change nothing.

    Returns:
        The names of those tables that were not what the results make.

    Raises:
        UsageError: a table that there is not, no table in the file, or result files that are missing or damaged.
    """
    text, drifted = path.read_text(encoding="utf-8"), []
    if not _TABLE.search(text):
        raise UsageError(f"'{path}' has no table. Next: put <!-- table: main --> and <!-- end --> where one belongs")

    def written(found: re.Match[str]) -> str:
        before, name, held, after = found.groups()
        if name not in TABLES:
            raise unknown_name("table", name, TABLES, f"mend the comment in '{path}'")
        lines = "\n".join(["", *markdown_rows(TABLES[name](results)), "", ""])
        if held != lines:
            drifted.append(name)
        return before + lines + after

    new = _TABLE.sub(written, text)
    if drifted and not check:
        write_text(path, new)
    return drifted


@cache
def _read(path: Path) -> Any:  # noqa: ANN401  (any kind of results)
    return read_results(path)


def _row(results: Path, name: str, purifier: str) -> DefenseRow:
    rows: Iterable[DefenseRow] = _read(results / f"{name}.json").rows
    return next(row for row in rows if row.purifier == purifier)


def _main(results: Path) -> Table:
    """One pixel, `corners`: each classifier behind each purifier, the paper's figures, and the means of the six."""
    lines: list[tuple[str, ...]] = []
    measured: dict[str, list[DefenseRow]] = {}
    for classifier, name in NAMES.items():
        for purifier in PURIFIERS:
            row = _row(results, f"{classifier}-corners", purifier)
            measured.setdefault(purifier, []).append(row)
            shares = (row.attack_success, row.defense_rate, row.performance_loss, row.adaptive_success)
            lines.append((f"{name}, n = {row.n:,}", f"`{purifier}`", *map(_share, shares)))
        paper = PAPER[classifier]
        figures = (paper.attack_success, paper.defense_rate, paper.performance_loss)
        lines.append((f"{name}, n = 1,000", "*the paper's, `de`*", *map(percent, figures), "not measured"))
    for purifier, rows in measured.items():
        columns: tuple[list[Share | None], ...] = (
            [row.attack_success for row in rows],
            [row.defense_rate for row in rows],
            [row.performance_loss for row in rows],
            [row.adaptive_success for row in rows],
        )
        lines.append(("mean of the six", f"`{purifier}`", *(percent(_mean(column)) for column in columns)))
    papers = PAPER.values()
    stated = mean(p.attack_success for p in papers), STATED_MEAN_D_SUC, mean(p.performance_loss for p in papers)
    lines.append(("mean of the six", "*the paper's, `de`*", *map(percent, stated), "not measured"))
    return _table(("classifier", "purifier"), ("undefended", "D_suc", "PL", "adaptive"), lines)


def _strongest(results: Path) -> Table:
    """Every search together beside `corners` alone, on the same first images."""
    lines = []
    for classifier, name in NAMES.items():
        for purifier in PURIFIERS:
            corners = _row(results, f"{classifier}-corners-{_FIRST.get(classifier, 10)}", purifier)
            every = _row(results, f"{classifier}-strongest", purifier)
            undefended = _few(corners.attack_success, interval=False), _few(every.attack_success)
            adaptive = _few(corners.adaptive_success, interval=False), _few(every.adaptive_success)
            lines.append((f"{name}, n = {every.n:,}", f"`{purifier}`", *undefended, *adaptive))
    figures = ("undefended, `corners`", "every search", "adaptive, `corners`", "every search")
    return _table(("classifier", "purifier"), figures, lines)


def _techniques(results: Path) -> Table:
    """Purifiers beside input transformations: means of the six, adaptive on LeNet, time in ResNet-32's run."""
    by_classifier = {name: _read(results / f"techniques-{name}.json").rows for name in NAMES}
    lines = []
    for own in by_classifier["lenet"]:
        rows = {name: next(r for r in rows if r.technique == own.technique) for name, rows in by_classifier.items()}
        name = f"`{own.technique}`" if own.technique in PURIFIERS else own.technique
        means = (_mean(r.defense_rate for r in rows.values()), _mean(r.performance_loss for r in rows.values()))
        lines.append((name, *map(percent, means), _share(own.adaptive_success), number(rows["resnet"].milliseconds, 2)))
    return _table(("technique",), ("D_suc", "PL", "adaptive, LeNet", "ms/image"), lines)


def _precision(results: Path) -> Table:
    """int8 for ONNX Runtime on the CPU beside float32, behind `gated`."""
    rows = [*_read(results / "precision.json").rows, *_read(results / "precision-densenet.json").rows]
    found = {(row.classifier, row.precision, row.target): row for row in rows}
    lines = []
    for classifier, name in NAMES.items():
        full, int8 = found[classifier, "fp32", "both"], found[classifier, "int8", "cpu"]
        accuracies = f"{100 * full.pipeline_accuracy:.2f} → {100 * int8.pipeline_accuracy:.2f} %"
        undone = " → ".join(f"{row.d_suc.count} of {row.d_suc.n}" for row in (full, int8))
        sizes = f"{full.nbytes / 2**20:.1f} → {int8.nbytes / 2**20:.1f}"
        lines.append((name, percent(int8.pipeline_agreement), accuracies, undone, sizes, number(int8.times_faster, 2)))
    figures = ("decisions as in float32", "accuracy behind `gated`", "D_suc", "MiB", "times faster")
    return _table(("classifier",), figures, lines)


def _speed(results: Path) -> Table:
    """The attacks beside other projects', those on a slower network of this project's left out."""
    lines = []
    for row in _read(results / "attack-speed.json").rows:
        if "PyTorch" in row.attack:
            continue
        attack = row.attack if row.peer else f"`{row.attack.partition(',')[0]}`{''.join(row.attack.partition(',')[1:])}"
        times = (number(row.seconds_per_image, 3), number(row.times_faster, 1))
        queries = (number(row.queries_per_image), number(row.queries_per_second))
        success = percent(row.attack_success.value, 0)
        lines.append((f"{NAMES[row.classifier]}, n = {row.n}", attack, success, *times, *queries))
    figures = ("success", "s/image", "times faster than the faster peer", "queries/image", "queries/s")
    return _table(("classifier", "attack"), figures, lines)


TABLES: dict[str, Callable[[Path], Table]] = {
    "main": _main,
    "strongest": _strongest,
    "techniques": _techniques,
    "precision": _precision,
    "speed": _speed,
}


def _table(names: tuple[str, ...], figures: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> Table:
    def column(heading: str, index: int) -> Column:
        return Column(heading, lambda line: line[index], is_text=index < len(names))

    return make_table("", [column(heading, index) for index, heading in enumerate((*names, *figures))], lines)


def _share(share: Share | None) -> str:
    cell = share_cell(share)
    return f"{cell.text} ({cell.detail})" if cell.detail else cell.text


def _few(share: Share | None, *, interval: bool = True) -> str:
    """A share with its interval, or as a count where it is of few images."""
    if share is not None and share.n < _SMALL:
        return f"{share.count} of {share.n}"
    return _share(share) if interval else share_cell(share).text


def _mean(shares: Iterable[Share | None]) -> float:
    return mean(share.value for share in shares if share is not None and share.value is not None)

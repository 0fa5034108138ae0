"""Result files: JSON with a kind and a format version, and the same as Markdown for people."""

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pixelproof
from pixelproof.benchmarks.conditions import Conditions, describe, describe_conditions, now
from pixelproof.benchmarks.tables import Table, escaped, markdown
from pixelproof.codec import decode, encode
from pixelproof.errors import UsageError, in_clone, quote, unknown_name
from pixelproof.files import check_writable, write_json, write_text

FORMAT_VERSION = 1
_AGAIN = "pixelproof bench defense BUNDLE -o RESULTS.json"
ATTACK = "attack"
"""The kind of what `pixelproof attack` writes, a file of its own."""
KINDS = {
    "attack-speed": "attack_speed:AttackSpeedResults",
    "defense": "defense:DefenseResults",
    "kernels": "kernels:KernelResults",
    "latency": "latency:LatencyResults",
    "precision": "precision:PrecisionResults",
    "soak": "endurance:SoakResults",
    "techniques": "techniques:TechniqueResults",
    "training": "report.plots:TrainingResults",
}
"""Each kind of result file, and the dataclass that it holds: a benchmark's file in this folder, and its class."""


@dataclass(frozen=True)
class Results:
    """What a result file holds: the base of each benchmark's results.

    Attributes:
        created: when, UTC, as ISO 8601.
        conditions: where and how it was measured.
    """

    created: str
    conditions: Conditions

    def title(self) -> str:
        """What was measured, in a few words."""
        raise NotImplementedError

    def tables(self) -> tuple[Table, ...]:
        """Its tables."""
        raise NotImplementedError


def classifiers_of(rows: Iterable[Any]) -> str:
    """The names of the rows' classifiers, each once, in words."""
    return ", ".join(dict.fromkeys(row.classifier for row in rows))


def behind(classifier: str, purifier: str | None) -> str:
    """A classifier, and the purifier before it if there is one, in words."""
    return classifier if purifier is None else f"{classifier} behind {purifier}"


def to_json(results: Results) -> dict[str, Any]:
    """`results` as what a result file holds."""
    of = f"{type(results).__module__.rpartition('.')[2]}:{type(results).__name__}"
    kind = next(name for name, holds in KINDS.items() if holds == of)
    return {"kind": kind, "format_version": FORMAT_VERSION, **encode(results)}


def results_markdown(results: Results) -> str:
    """A result file's tables in Markdown, and the conditions they were measured under."""
    tables = map(markdown, results.tables())
    facts = describe(results.conditions) | {"created": results.created}
    return "\n".join([*tables, *(f"- {name}: {escaped(fact)}" for name, fact in facts.items())]) + "\n"


def write_results(path: Path, results: Results) -> None:
    """Write `results` as JSON, which `pixelproof report` reads, and as Markdown beside it, each whole or not at all."""
    data, text = result_paths(path)
    write_json(data, to_json(results))
    write_text(text, results_markdown(results))


def read_results(path: Path) -> Results:
    """What is in the result file `path`, or in the JSON beside weights.

    Raises `UsageError` for anything else than a whole one of this version.
    """
    content = _read(path)
    kind, version = content.get("kind"), content.get("format_version")
    if kind == ATTACK:
        raise UsageError(f"'{path}' is what one attack found, of which there is no report. Next: {_AGAIN}")
    if isinstance(kind, str) and kind not in KINDS:
        raise unknown_name(f"kind of results in '{path}':", kind, KINDS, _AGAIN)
    if not isinstance(kind, str) or type(version) is not int:
        raise _unfit(path, "is JSON without the 'kind' and 'format_version' of a result file")
    if version != FORMAT_VERSION:
        raise UsageError(
            f"'{path}' has format version {version}; pixelproof {pixelproof.__version__} reads version "
            f"{FORMAT_VERSION}. Next: {in_clone('git pull && pip install .')}, or measure again with {_AGAIN}"
        )
    module, _, name = KINDS[kind].partition(":")
    held: type[Any] = getattr(importlib.import_module(f"pixelproof.benchmarks.{module}"), name)
    try:
        return cast(Results, decode(held, content, "results"))
    except ValueError as error:
        raise _unfit(path, f"is damaged: {error}") from None


def attack_json(
    summary: dict[str, Any], images: list[dict[str, Any]], *, threads: int | None, command: str
) -> dict[str, Any]:
    """The content of the `results.json` of an attack: its conditions, then `summary` and `images` of an `AttackRun`."""
    conditions = describe_conditions(
        provider=summary["provider"], threads=threads, data=summary["data"], command=command, seed=summary["seed"]
    )
    head = {"kind": ATTACK, "format_version": FORMAT_VERSION, "created": now(), "conditions": encode(conditions)}
    return {**head, **summary, "images": images}


def result_paths(path: Path) -> tuple[Path, Path]:
    """The JSON and the Markdown file that `path`, either of the two or without a suffix, stands for.

    Raises `UsageError` for another suffix, a folder, or files that no measurement wrote, and `OSError` where nothing
    can be written; ask before a long measurement.
    """
    if path.suffix not in (".json", ".md", ""):
        raise UsageError(
            f"results are written as .json and .md, got '{path}'. Next: -o {quote(path.with_name(path.name + '.json'))}"
        )
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder, not a result file. Next: -o {quote(path / 'results.json')}")
    data, text = path.with_suffix(".json"), path.with_suffix(".md")
    if folder := next((each for each in (data, text) if each.is_dir()), None):
        raise UsageError(f"'{folder}' is a folder, not a result file. Next: -o {quote(path.with_name('results.json'))}")
    if data.exists() and not _is_result(data):
        raise UsageError(f"'{data}' exists, and is no result of pixelproof bench. Next: -o with another name")
    if text.exists() and not data.exists():
        raise UsageError(f"'{text}' exists, with no '{data.name}' beside it. Next: -o with another name")
    check_writable(data)
    return data, text


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"there is no result file '{path}'. Next: {_AGAIN}")
    if not path.is_file():
        raise _unfit(path, "is no file")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise _unfit(path, "is no JSON") from None
    if not isinstance(content, dict):
        raise _unfit(path, "is JSON without the 'kind' and 'format_version' of a result file")
    return content


def _unfit(path: Path, what: str) -> UsageError:
    return UsageError(f"'{path}' {what}; expected a result file of pixelproof bench. Next: {_AGAIN}")


def _is_result(path: Path) -> bool:
    """Whether a measurement wrote the file; results are written anew over older ones."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") in KINDS.keys() - {"training"}

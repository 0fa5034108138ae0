"""Result files: keys and types of each kind, and committed ones are read, written and drawn as they are."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pins.inside import RESULTS, UsageError, pinned, read_results, results_markdown, to_json

FILES = sorted(RESULTS.glob("*.json"))
WITHOUT_REPORT = {"growth", "survival", "screening"}
NAMED_FREELY = (".versions",)


@cache
def content(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def typed(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Each place in `value`, items of lists as one, with the JSON type that is there."""
    names = {dict: "object", list: "list", str: "text", bool: "bool", int: "number", float: "number"}
    yield where or ".", names.get(type(value), "null")
    if isinstance(value, dict):
        for name, held in value.items():
            yield from typed(held, f"{where}.{'*' if where.endswith(NAMED_FREELY) else name}")
    elif isinstance(value, list):
        for held in value:
            yield from typed(held, f"{where}[]")


def by_kind() -> dict[str, list[Path]]:
    kinds: dict[str, list[Path]] = {}
    for path in FILES:
        kinds.setdefault(content(path)["kind"], []).append(path)
    return kinds


@pytest.mark.parametrize("kind", by_kind())
def test_a_kind_has_these_keys_of_these_types(kind):
    places: dict[str, set[str]] = {}
    for path in by_kind()[kind]:
        whole = content(path) if kind in WITHOUT_REPORT else to_json(read_results(path))
        for where, name in typed(json.loads(json.dumps(whole))):
            places.setdefault(where, set()).add(name)
    pinned("results", kind, {where: " or ".join(sorted(names)) for where, names in sorted(places.items())})


def check_kept(old: Any, new: Any, where: str) -> None:
    """All of `old` is in `new` as it was; what came since it was written says nothing."""
    if isinstance(old, dict):
        assert old.keys() <= new.keys(), where
        assert [name for name in new if name in old] == list(old), f"{where}: another order"
        assert all(new[name] in (None, []) for name in new.keys() - old.keys()), where
        for name, held in old.items():
            check_kept(held, new[name], f"{where}.{name}")
    elif isinstance(old, list):
        assert len(old) == len(new), where
        for number, (held, now) in enumerate(zip(old, new, strict=True)):
            check_kept(held, now, f"{where}[{number}]")
    else:
        assert (type(old), old) == (type(new), new), where


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_committed_file_is_written_and_drawn_again_as_it_is(path):
    if content(path)["kind"] in WITHOUT_REPORT:
        with pytest.raises(UsageError, match="unknown kind of results"):
            read_results(path)
        return
    results = read_results(path)
    check_kept(content(path), json.loads(json.dumps(to_json(results))), path.stem)
    assert path.with_suffix(".md").read_text(encoding="utf-8") == results_markdown(results)

"""The command line: every command's options, and the code and the one line that bad input ends in."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pins.inside import app, main, pinned, sample
from typer.main import get_command


def commands(command: Any, name: str = "pixelproof") -> Iterator[tuple[str, Any]]:
    yield name, command
    for each, below in sorted(getattr(command, "commands", {}).items()):
        yield from commands(below, f"{name} {each}")


def described(parameter: Any) -> dict[str, Any]:
    """A parameter's names and what it takes; what says no more than that nothing was given is left out."""
    told = {"names": [*parameter.opts, *parameter.secondary_opts]}
    default = parameter.default
    told |= {"default": default if isinstance(default, str | int | float | None) else str(default)}
    for name in ("required", "multiple", "is_flag", "min", "max"):
        told[name] = getattr(parameter, name, None)
    return {name: value for name, value in told.items() if value is not None and value is not False}


COMMANDS = dict(commands(get_command(app)))


def test_there_are_these_commands():
    pinned("command_line", "commands", list(COMMANDS))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_these_options(name):
    pinned("command_line", name, [described(each) for each in COMMANDS[name].params if each.name != "help"])


ATTACK = ["attack", "lenet-median", "--sample", "--images", "1"]
REFUSED = {
    "unknown command": ["atack"],
    "unknown option": [*ATTACK, "--pixel", "1"],
    "no bundle": ["attack"],
    "missing bundle": ["attack", "none", "--sample"],
    "missing image": ["classify", "lenet-median", "none.png"],
    "unknown method": [*ATTACK, "--method", "cornerz"],
    "unknown protocol": [*ATTACK, "--protocol", "both"],
    "unknown class": [*ATTACK, "--target", "shipp"],
    "too many pixels": [*ATTACK, "--pixels", "1025"],
    "no pixels": [*ATTACK, "--pixels", "0"],
    "population of what evolves nothing": [*ATTACK, "--population", "50"],
    "two sets of images": [*ATTACK, "--data", "x"],
    "missing data": ["attack", "lenet-median", "--data", "none"],
    "records in a file": [*ATTACK, "--records", "mine"],
    "output that exists": [*ATTACK, "-o", "mine"],
    "unknown classifier": ["export", "lenett", "-o", "new"],
    "unknown purifier": ["export", "lenet", "--purifier", "gate", "-o", "new"],
    "output of an export that exists": ["export", "lenet", "-o", "mine"],
    "results of another suffix": ["bench", "defense", "lenet-median", "--sample", "-o", "results.txt"],
    "adaptive defense of none": ["bench", "defense", "lenet-none", "--sample"],
    "report of no results": ["report", "mine"],
    "report of nothing": ["report", "none.json"],
    "inspect of no bundle": ["inspect", "mine"],
    "training of an unknown network": ["train", "lenett"],
    "engine of no bundle": ["build-engine", "none"],
}


@pytest.fixture
def folder(bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("lenet-median", "lenet-none"):
        (tmp_path / name).symlink_to(bundle(*name.split("-")))
    (tmp_path / "mine").write_text("kept")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_ends_in_this_code_and_no_traceback(case, folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pixelproof", *REFUSED[case]])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert left.value.code in (1, 2)
    ours = err.startswith("error: ") and err.count("\n") == 1 and "Next: " in err
    pinned("command_line", f"refused: {case}", [left.value.code, "one line" if ours else "usage"])
    assert (folder / "mine").read_text() == "kept"


@pytest.mark.parametrize("asked", ["attack", "inspect", "classify"])
def test_json_has_these_keys(asked, folder, monkeypatch, capsys):
    Image.fromarray(sample().images[1]).save("image.png")
    more = {"attack": ["--sample", "--images", "1"], "inspect": [], "classify": ["image.png"]}[asked]
    monkeypatch.setattr(sys, "argv", ["pixelproof", asked, "lenet-median", *more, "--json"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    told = json.loads(capsys.readouterr().out)
    pinned("command_line", f"keys of {asked} --json", list(told[0] if isinstance(told, list) else told))

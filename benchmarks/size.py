"""`make size`: how large the code is, and how much of it a command reaches.

Lines are all lines of a file. An import closure holds the project's files that the command's own module imports,
whatever it imports inside functions included, and what those import, and so on.
"""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("attack", "benchmarks", "export", "models", "runtime", "src", "tests", "examples")
LONGEST = 5


def files(folder: str) -> list[Path]:
    """The Python files below a top folder, links not followed."""
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


def lines(path: Path) -> int:
    """How many lines the file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of each function in the file, and what it is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}: {node.name}"


def imports(path: Path) -> Iterator[str]:
    """The modules that the file names in its imports, for type checkers alone left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def closure(module: str, modules: dict[str, Path]) -> set[str]:
    """The project's modules that `module` reaches, packages whose `__init__` runs on the way among them."""
    reached: set[str] = set()
    left = [module]
    while left:
        name = left.pop()
        if name not in modules or name in reached:
            continue
        reached.add(name)
        left += [name.rpartition(".")[0], *imports(modules[name])]
    return reached


def all_modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for folder in FOLDERS[:-2]:
        base = ROOT / "src" if folder == "src" else ROOT
        for path in files(folder):
            parts = path.relative_to(base).with_suffix("").parts
            dotted = parts if folder == "src" else ("pixelproof", *parts)
            found[".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)] = path
    return found


def main() -> None:
    """Print the figures."""
    for folder in FOLDERS:
        own = files(folder)
        print(f"{folder:<12}{sum(map(lines, own)):>8,} lines {len(own):>4} files")
    code = [path for folder in FOLDERS[:-2] for path in files(folder)]
    tests = files("tests")
    print(f"{'code':<12}{sum(map(lines, code)):>8,} lines {len(code):>4} files, median {median(code)}")
    print(f"{'tests':<12}{sum(map(lines, tests)):>8,} lines {len(tests):>4} files, median {median(tests)}")
    modules = all_modules()
    for name in sorted(modules):
        folder, _, command = name.rpartition(".")
        if folder == "pixelproof.commands":
            print(f"imported by {command:<16}{len(closure(name, modules)):>4} files")
    for what, sizes in (
        ("file", sorted(((lines(path), str(path.relative_to(ROOT))) for path in code), reverse=True)),
        ("function", sorted((each for path in code for each in functions(path)), reverse=True)),
    ):
        for length, name in sizes[:LONGEST]:
            print(f"longest {what:<9}{length:>4} lines  {name}")


def median(paths: list[Path]) -> int:
    """The median of the files' lines."""
    return round(statistics.median(map(lines, paths)))


if __name__ == "__main__":
    main()

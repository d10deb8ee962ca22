"""Draws faults at random: `python -m tests.mutation.draw --seed 11 --count 40 > tests/mutation/faults/drawn.toml`.

Nobody chooses the places, so a rate measured on them is not coloured by what its author thought of. The kinds are those of the usual
operators (DeMillo, Lipton & Sayward 1978) and those that the lists beside it have most of: a limit moved by one, an operator, a
condition or an argument that is dropped, two arguments exchanged, a default, a call that is left out. At most one a file.

With `--functions` only the places are drawn: functions, a long one more often than a short one, in which a fault is then written by
hand before anybody looks at the tests.
"""

import argparse
import ast
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.changes import Change, changes_of
from tests.mutation.fault_list import CODE

_ROOT = Path(__file__).resolve().parents[2]
_SURROUNDINGS = 12  # lines added before and after a change, at most, until its text stands once in the code


def draw(seed: int, count: int) -> list[Change]:
    """Return so many changes of different files: first the kind is drawn, then its place, so that no kind crowds out another."""
    source = random.Random(seed)
    every = [one for folder in CODE for path in sorted((_ROOT / folder).rglob("*.py")) for one in changes_of(path)]
    chosen: list[Change] = []
    while len(chosen) < count:
        used = {one.path for one in chosen}
        left = [one for one in every if one.path not in used]
        kind = source.choice(sorted({one.kind for one in left}))
        chosen.append(source.choice([one for one in left if one.kind == kind]))
    return chosen


def draw_functions(seed: int, count: int, *, under: tuple[str, ...] = CODE) -> list[tuple[Path, str, int, int]]:
    """Return so many functions, each with its file, name, first and last line; the longer the likelier. under: folders."""
    every = [
        (path, *found)
        for folder in under
        for path in sorted((_ROOT / folder).rglob("*.py"))
        for found in _functions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    source = random.Random(seed)
    lines = [last - first + 1 for _, _, first, last in every]
    chosen: list[tuple[Path, str, int, int]] = []
    while len(chosen) < count:
        (one,) = source.choices(every, lines)
        if one not in chosen:
            chosen.append(one)
    return chosen


def _functions(node: ast.AST, inside: str = "") -> Iterator[tuple[str, int, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inside + child.name, child.lineno, child.end_lineno or child.lineno
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{inside}{child.name}.")


def package_of(path: Path) -> str:
    """Return the list of faults that a file's faults belong to."""
    parts = path.relative_to(_ROOT).with_suffix("").parts
    if parts[0] == "pages" or len(parts) == 2:
        return parts[0]
    return parts[2] if parts[1] == "worker" and parts[2] in ("supervisor", "recorder") else parts[1]


def _snippets(change: Change, texts: list[str]) -> tuple[str, str] | None:
    """Return the old and the new text with as much around them as makes the old one stand once; None where none does."""
    lines = change.path.read_text(encoding="utf-8").splitlines(keepends=True)
    for around in range(_SURROUNDINGS):
        first, last = max(0, change.first - 1 - around), change.last + around
        old = "".join(lines[first:last])
        if sum(text.count(old.strip("\n")) for text in texts) == 1:
            head, tail = "".join(lines[first : change.first - 1]), "".join(lines[change.last : last])
            return old.strip("\n"), (head + change.new + tail).strip("\n")
    return None


def main() -> int:
    """Print the faults as TOML."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.draw", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--round", type=int, default=5)
    parser.add_argument("--prefix", default="X", help="of the ids")
    parser.add_argument("--functions", action="store_true", help="draw functions, and print where each is")
    asked = parser.parse_args()
    if asked.functions:
        for path, name, first, last in draw_functions(asked.seed, asked.count):
            print(f"{path.relative_to(_ROOT).as_posix()}:{first}-{last} {name}")
        return 0
    texts = [path.read_text(encoding="utf-8") for folder in CODE for path in (_ROOT / folder).rglob("*.py")]
    for number, change in enumerate(draw(asked.seed, asked.count), start=1):
        snippets = _snippets(change, texts)
        if snippets is None or any("'''" in one for one in snippets):
            print(f"# {asked.prefix}{number} left out: its text does not stand once.\n")
            continue
        name = change.path.relative_to(_ROOT).as_posix()
        print(f'[[fault]]\nid = "{asked.prefix}{number}"\npackage = "{package_of(change.path)}"\nround = {asked.round}')
        print(f"old = '''\n{snippets[0]}'''\nnew = '''\n{snippets[1]}'''")
        print(f'says = "{name}, line {change.first}: {change.kind}."\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draws faults at random: `python -m tests.mutation.draw --seed 11 --count 40 > tests/mutation/faults/drawn.toml`.

The places are random, so a rate measured on them is not biased by an author's choice. The kinds of change are the usual
mutation operators (DeMillo, Lipton & Sayward 1978) and the most frequent ones of the hand-written lists: a limit moved
by one, another operator, a condition or an argument dropped, two arguments exchanged, another default, a call left out.
At most one change per file.

With `--functions`, only functions are drawn, with a probability proportional to their length. A fault is then written
into each of them manually, before reading its tests.
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
_SURROUNDINGS = 12  # most lines added before and after a change to make its text unique in the code


def draw(seed: int, count: int) -> list[Change]:
    """Return `count` changes of different files. The kind is drawn before the place, so that no kind dominates."""
    rng = random.Random(seed)
    every = [one for folder in CODE for path in sorted((_ROOT / folder).rglob("*.py")) for one in changes_of(path)]
    chosen: list[Change] = []
    while len(chosen) < count:
        used = {one.path for one in chosen}
        left = [one for one in every if one.path not in used]
        kind = rng.choice(sorted({one.kind for one in left}))
        chosen.append(rng.choice([one for one in left if one.kind == kind]))
    return chosen


def draw_functions(seed: int, count: int, *, under: tuple[str, ...] = CODE) -> list[tuple[Path, str, int, int]]:
    """Return `count` functions of some folders, each with file, name, first and last line; longer ones are likelier."""
    every = [
        (path, *found)
        for folder in under
        for path in sorted((_ROOT / folder).rglob("*.py"))
        for found in _functions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    rng = random.Random(seed)
    lines = [last - first + 1 for _, _, first, last in every]
    chosen: list[tuple[Path, str, int, int]] = []
    while len(chosen) < count:
        (one,) = rng.choices(every, lines)
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
    """Return the name of the list that a file's faults belong to."""
    parts = path.relative_to(_ROOT).with_suffix("").parts
    if parts[0] == "pages" or len(parts) == 2:
        return parts[0]
    return parts[2] if parts[1] == "worker" and parts[2] in ("supervisor", "recorder") else parts[1]


def _snippets(change: Change, texts: list[str]) -> tuple[str, str] | None:
    """Return the old and the new text with enough lines around them to make the old one unique, None if impossible."""
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
    parser.add_argument("--prefix", default="X", help="prefix of the ids")
    parser.add_argument("--functions", action="store_true", help="draw functions and print the place of each")
    arguments = parser.parse_args()
    if arguments.functions:
        for path, name, first, last in draw_functions(arguments.seed, arguments.count):
            print(f"{path.relative_to(_ROOT).as_posix()}:{first}-{last} {name}")
        return 0
    texts = [path.read_text(encoding="utf-8") for folder in CODE for path in (_ROOT / folder).rglob("*.py")]
    for number, change in enumerate(draw(arguments.seed, arguments.count), start=1):
        snippets = _snippets(change, texts)
        if snippets is None or any("'''" in one for one in snippets):
            print(f"# {arguments.prefix}{number} left out: its text is not unique.\n")
            continue
        name = change.path.relative_to(_ROOT).as_posix()
        print(f'[[fault]]\nid = "{arguments.prefix}{number}"\npackage = "{package_of(change.path)}"')
        print(f"round = {arguments.round}")
        print(f"old = '''\n{snippets[0]}'''\nnew = '''\n{snippets[1]}'''")
        print(f'says = "{name}, line {change.first}: {change.kind}."\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())

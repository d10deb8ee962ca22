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
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.fault_list import CODE

_ROOT = Path(__file__).resolve().parents[2]
_COMPARISONS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}
_ARITHMETIC: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Div(),
    ast.Mod: ast.FloorDiv(),
}
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SURROUNDINGS = 12  # lines added before and after a change, at most, until its text stands once in the code


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a file: the lines `first` to `last` (from 1) become `new`. kind: what is done, for people."""

    path: Path
    kind: str
    first: int
    last: int
    new: str


def changes_of(path: Path) -> list[Change]:
    """Return every change of one node of a file's functions and constants."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    found = []
    for node, kind, new in _mutants(ast.parse(text)):
        first, last = node.lineno, node.end_lineno or node.lineno
        start = len("".join(lines[: first - 1]).encode()) + node.col_offset
        end = len("".join(lines[: last - 1]).encode()) + (node.end_col_offset or 0)
        raw = text.encode()
        changed = (raw[:start] + new.encode() + raw[end:]).decode().splitlines(keepends=True)
        body = "".join(changed[first - 1 : last + len(changed) - len(lines)])
        found.append(Change(path, kind, first, last, body))
    return found


def _mutants(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    skipped = {id(part) for node in ast.walk(tree) for part in _unseen(node)}
    for node in ast.walk(tree):
        if id(node) not in skipped:
            for kind, new in _mutants_of(node):
                assert isinstance(node, ast.expr | ast.stmt)
                yield node, kind, new


def _unseen(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is no behaviour: annotations, texts for people, exceptions' words, imports for types only."""
    roots: list[ast.AST | None] = []
    if isinstance(node, ast.AnnAssign | ast.arg):
        roots.append(node.annotation)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        roots += [node.returns, *node.decorator_list]
    elif isinstance(node, ast.ClassDef):
        roots += node.decorator_list
    elif isinstance(node, ast.JoinedStr | ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.FormattedValue):
        roots.append(node)
    for root in roots:
        if root is not None:
            yield from ast.walk(root)


def _mutants_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            yield "another comparison", ast.unparse(ast.Compare(left, [_COMPARISONS[type(op)]], [right]))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
            yield "another operator", f"({ast.unparse(ast.BinOp(left, _ARITHMETIC[type(op)], right))})"
        case ast.BoolOp(values=[*first, _]):
            kept = first[0] if len(first) == 1 else ast.BoolOp(node.op, first)
            yield "the last condition dropped", f"({ast.unparse(kept)})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield "the other truth value", str(not value)
        case ast.Constant(value=int(value)):
            yield "one more", str(value + 1)
        case ast.Constant(value=float(value)) if value:
            yield "twice the number", repr(2 * value)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "branches exchanged", f"({ast.unparse(ast.IfExp(test, orelse, body))})"
        case ast.Expr(value=ast.Call()):
            yield "a call left out", "pass"
        case ast.Call():
            yield from _calls(node)


def _calls(call: ast.Call) -> Iterator[tuple[str, str]]:
    if isinstance(call.func, ast.Name) and call.func.id in _EXCHANGED:
        other = ast.Name(_EXCHANGED[call.func.id])
        yield f"{other.id} for {call.func.id}", ast.unparse(ast.Call(other, call.args, call.keywords))
    if len(call.args) > 1 and not any(isinstance(one, ast.Starred) for one in call.args[:2]):
        first, second, *rest = call.args
        yield "two arguments exchanged", ast.unparse(ast.Call(call.func, [second, first, *rest], call.keywords))
    if call.keywords and call.keywords[-1].arg is not None:
        yield "the last argument dropped", ast.unparse(ast.Call(call.func, call.args, call.keywords[:-1]))


def _is_text(*nodes: ast.expr) -> bool:
    return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in nodes)


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

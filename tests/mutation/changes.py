"""Lists all small changes of a file's behaviour that change one node of its syntax tree.

The kinds of change are the usual mutation operators (DeMillo, Lipton & Sayward 1978) and the most frequent ones of the
hand-written faults: an argument, a condition or an assignment left out, two arguments exchanged, a field replaced by
another one. Code without observable behaviour is not changed: annotations, texts for people, error messages.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}
# Functions for which exchanged arguments give the same result, or an error.
_SYMMETRIC = {"min", "max", "isclose", "gcd", "union", "zip_longest", "isinstance", "cast"}
# A text that the code compares or looks up; texts for people have spaces or capitals.
_ID = re.compile(r"[a-z0-9][a-z0-9_./-]*")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a file: the lines `first` to `last` (from 1) become `new`. kind: a description for people."""

    path: Path
    kind: str
    first: int
    last: int
    new: str

    def source(self) -> str:
        """Return the text of the whole file with the change."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return "".join([*lines[: self.first - 1], self.new, *lines[self.last :]])


def changes_of(path: Path) -> list[Change]:
    """Return every change of one node of a file's functions and constants."""
    text = path.read_text(encoding="utf-8")
    raw, lines = text.encode(), text.splitlines(keepends=True)
    found = []
    for node, kind, new in _mutants(ast.parse(text)):
        first, last = node.lineno, node.end_lineno or node.lineno
        start = len("".join(lines[: first - 1]).encode()) + node.col_offset
        end = len("".join(lines[: last - 1]).encode()) + (node.end_col_offset or 0)
        changed = (raw[:start] + new.encode() + raw[end:]).decode().splitlines(keepends=True)
        body = "".join(changed[first - 1 : last + len(changed) - len(lines)])
        found.append(Change(path, kind, first, last, body))
    return found


def _mutants(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    skipped = {id(part) for node in ast.walk(tree) for part in _unseen(node)}
    next_fields = _find_next_fields(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Raise):
            yield node.test, "a refusal left out", "False"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner is not node.body[-1]:
                    yield inner, "an early return left out", "pass"
        if id(node) in skipped:
            continue
        for kind, new in _mutants_of(node):
            assert isinstance(node, ast.expr | ast.stmt)
            yield node, kind, new
        if isinstance(node, ast.Attribute) and id(node) in next_fields:
            yield node, "the field beside it", ast.unparse(ast.Attribute(node.value, next_fields[id(node)]))


def _unseen(node: ast.AST) -> Iterator[ast.AST]:
    """Yield nodes without observable behaviour: annotations, texts for people, error messages, imports."""
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


def _find_next_fields(tree: ast.Module) -> dict[int, str]:
    """Return, for each attribute that a function reads from a name, the next one that it reads from the same name."""
    found: dict[int, str] = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        read = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and id(node) not in called
        ]
        for node in read:
            assert isinstance(node.value, ast.Name)
            owner = node.value.id
            names = sorted({one.attr for one in read if isinstance(one.value, ast.Name) and one.value.id == owner})
            if isinstance(node.ctx, ast.Load) and len(names) > 1:
                found[id(node)] = names[(names.index(node.attr) + 1) % len(names)]
    return found


def _mutants_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            yield "another comparison", ast.unparse(ast.Compare(left, [_COMPARISONS[type(op)]], [right]))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not _is_text(left, right):
            yield "another operator", f"({ast.unparse(ast.BinOp(left, _ARITHMETIC[type(op)], right))})"
            yield "the first operand only", f"({ast.unparse(left)})"
        case ast.BoolOp(op=op, values=[*first, _]):
            rest = first[0] if len(first) == 1 else ast.BoolOp(op, first)
            yield "the last condition dropped", f"({ast.unparse(rest)})"
            other: ast.boolop = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and for or", f"({ast.unparse(ast.BoolOp(other, node.values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield "the other truth value", str(not value)
        case ast.Constant(value=int(value)):
            yield "one more", str(value + 1)
        case ast.Constant(value=float(value)) if value:
            yield "twice the number", repr(2 * value)
        case ast.Constant(value=str(value)) if _ID.fullmatch(value):
            yield "another id", repr(f"{value}_")
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "branches exchanged", f"({ast.unparse(ast.IfExp(test, orelse, body))})"
        case ast.Slice(lower=lower, upper=upper, step=step) if lower and upper:
            yield "a bound dropped", ast.unparse(ast.Slice(lower, None, step))
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() if any(one.ifs for one in node.generators):
            bare = [ast.comprehension(one.target, one.iter, [], one.is_async) for one in node.generators]
            yield "a filter dropped", ast.unparse(type(node)(node.elt, bare))
        case ast.Expr(value=ast.Call()):
            yield "a call left out", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign():
            yield "an assignment left out", "pass"
        case ast.Continue() | ast.Break():
            yield "a jump left out", "pass"
        case ast.Call():
            yield from _calls(node)


def _calls(call: ast.Call) -> Iterator[tuple[str, str]]:
    if isinstance(call.func, ast.Name) and call.func.id in _EXCHANGED:
        other = ast.Name(_EXCHANGED[call.func.id])
        keywords = [] if other.id == "list" else call.keywords
        yield f"{other.id} for {call.func.id}", ast.unparse(ast.Call(other, call.args, keywords))
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    if len(call.args) > 1 and name not in _SYMMETRIC and not any(isinstance(one, ast.Starred) for one in call.args[:2]):
        first, second, *rest = call.args
        yield "two arguments exchanged", ast.unparse(ast.Call(call.func, [second, first, *rest], call.keywords))
    for left_out in call.keywords:
        if left_out.arg is not None:
            rest = [one for one in call.keywords if one is not left_out]
            last = left_out is call.keywords[-1]
            yield f"{'the last' if last else 'an'} argument dropped", ast.unparse(ast.Call(call.func, call.args, rest))


def _is_text(*nodes: ast.expr) -> bool:
    return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in nodes)

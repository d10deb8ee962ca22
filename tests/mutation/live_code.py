"""Applies a change of a file to the functions of the running process, so that no module has to be imported again.

Functions get new code; module constants and default arguments get new values. Other effects of an import (classes,
decorators, registries, constants computed from other constants) cannot be repeated, and such changes are refused.
"""

import ast
import bisect
import gc
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.changes import Change
from tests.mutation.fault_list import CODE


class CannotChangeError(Exception):
    """A change that cannot be applied without importing the module again; its message is the reason."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a change. function: the outermost one, with its class, or "" outside of functions.

    first, last: the lines of the statement, without those of its body. at_import: the code runs on import and not when
    a function is called; then any test that reaches the lines `from_` to `to` may be affected.
    """

    file: str
    function: str
    first: int
    last: int
    at_import: bool
    from_: int
    to: int

    def is_reached(self, lines: Mapping[str, Sequence[int]]) -> bool:
        """Whether the change may affect a test that reaches these lines (sorted, by file)."""
        reached = lines.get(self.file, ())
        at = bisect.bisect_left(reached, self.from_)
        return at < len(reached) and reached[at] <= self.to


def places_of(text: str, file: str = "") -> Callable[[Change], Place]:
    """Return a function that returns the place of a change of this text."""
    tree = ast.parse(text)
    functions = list(_functions(tree))
    statements = [(*_header(node), node) for node in ast.walk(tree) if isinstance(node, ast.stmt)]

    def place(change: Change) -> Place:
        inside = [one for one in statements if one[0] <= change.first and change.last <= one[1]]
        first, last, _ = min(inside, key=lambda one: one[1] - one[0], default=(change.first, change.last, tree))
        for name, node in functions:
            start, end = node.body[0].lineno, node.end_lineno or node.lineno
            if start <= change.first <= end:
                return Place(file, name, first, last, False, first, last)
            if min([node.lineno, *(one.lineno for one in node.decorator_list)]) <= change.first < start:
                return Place(file, name, first, last, True, start, end)
        return Place(file, "", first, last, True, 1, len(text))

    return place


def _header(node: ast.stmt) -> tuple[int, int]:
    """Return the first and the last line of a statement; if it has a body, only the lines before the body count."""
    body = getattr(node, "body", None)
    last = node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, body[0].lineno - 1) if body and isinstance(body, list) else last


def _functions(node: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inside + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{inside}{child.name}.")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _functions(child, inside)


class LiveCode:
    """The function objects of some files in this process."""

    def __init__(self, modules: Mapping[Path, types.ModuleType]) -> None:
        self._modules = modules
        self._texts = {path: path.read_text(encoding="utf-8") for path in modules}
        self._places = {path: places_of(text, str(path)) for path, text in self._texts.items()}
        names = {str(path) for path in modules}
        self._functions: dict[tuple[str, str, int], list[types.FunctionType]] = {}
        gc.unfreeze()  # pages freeze all objects once torch is imported, and frozen objects are not listed
        for one in gc.get_objects():  # no isinstance: it makes lazy objects import their modules, which may warn
            if type(one) is types.FunctionType and one.__code__.co_filename in names:
                code = one.__code__
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self._functions.setdefault(key, []).append(one)

    def place(self, change: Change) -> Place:
        """Return the place of a change of one of the files."""
        return self._places[change.path](change)

    def prepare(self, change: Change) -> Callable[[], None]:
        """Return a function that applies the change in this process. Raises `CannotChangeError`."""
        place = self.place(change)
        try:
            tree = ast.parse(change.source())
            if not place.at_import:
                return self._new_code(change, tree, place.function)
        except SyntaxError as error:
            raise CannotChangeError(f"it is not valid Python: {error.msg}") from error
        return self._new_defaults(change, tree, place.function) if place.function else self._new_constant(change, tree)

    def _new_code(self, change: Change, tree: ast.Module, function: str) -> Callable[[], None]:
        name = str(change.path)
        old = _codes(compile(self._texts[change.path], name, "exec", dont_inherit=True))
        new = _codes(compile(tree, name, "exec", dont_inherit=True))
        if [one.co_qualname for one in old] != [
            one.co_qualname for one in new
        ]:  # a lambda or a comprehension is missing or moved
            new_by = {one.co_qualname: one for one in new}
            pairs = [(one, new_by[one.co_qualname]) for one in old if one.co_qualname in new_by]
        else:
            pairs = list(zip(old, new))
        swaps = [
            (live, code)
            for before, code in pairs
            if code.co_qualname == function or code.co_qualname.startswith(f"{function}.<locals>.")
            for live in self._functions.get((name, before.co_qualname, before.co_firstlineno), ())
        ]
        if not swaps:
            raise CannotChangeError("this process has no such function")
        if any(live.__code__.co_freevars != code.co_freevars for live, code in swaps):
            raise CannotChangeError("its function closes over other variables")

        def apply() -> None:
            for live, code in swaps:
                live.__code__ = code

        return apply

    def _new_defaults(self, change: Change, tree: ast.Module, function: str) -> Callable[[], None]:
        node = dict(_functions(tree))[function]
        if change.first < node.lineno:
            raise CannotChangeError("decorators act at import")
        before = dict(_functions(ast.parse(self._texts[change.path])))[function]
        first = min([before.lineno, *(one.lineno for one in before.decorator_list)])
        live = self._functions.get((str(change.path), function, first), [])
        if not live:
            raise CannotChangeError("this process has no such function")
        bare = ast.FunctionDef(node.name, node.args, [ast.Pass()], [])
        for one in [*bare.args.posonlyargs, *bare.args.args, *bare.args.kwonlyargs]:
            one.annotation = None
        names = self._run(change.path, bare)
        made = names[node.name]
        assert isinstance(made, types.FunctionType)

        def apply() -> None:
            for one in live:
                one.__defaults__, one.__kwdefaults__ = made.__defaults__, made.__kwdefaults__

        return apply

    def _new_constant(self, change: Change, tree: ast.Module) -> Callable[[], None]:
        last = change.first + len(change.new.splitlines()) - 1
        around = [one for one in tree.body if one.lineno <= change.first and last <= (one.end_lineno or 0)]
        node = around[0] if around else ast.Pass()
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Name):
            raise CannotChangeError("it acts at import")
        name, old = target.id, self._modules[change.path].__dict__[target.id]
        holders = [
            one
            for one in list(sys.modules.values())
            if type(one) is types.ModuleType and one.__name__.partition(".")[0] in (*CODE, "tests")
            if one.__dict__.get(name) is old
        ]
        if any(_is_read_at_import(one, name) for one in holders):
            raise CannotChangeError(f"{name} is read at import")
        new = self._run(change.path, node)[name]

        def apply() -> None:
            for one in holders:
                setattr(one, name, new)

        return apply

    def _run(self, path: Path, node: ast.stmt) -> dict[str, object]:
        names = dict(self._modules[path].__dict__)
        code = compile(ast.fix_missing_locations(ast.Module([node], [])), str(path), "exec", dont_inherit=True)
        try:
            exec(code, names)
        except Exception as error:
            raise CannotChangeError(f"it fails at import: {type(error).__name__}") from error
        return names


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """Return the code objects of the functions in this one, in source order."""
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return [found for one in inner for found in ([one] if one.co_flags & inspect.CO_OPTIMIZED else []) + _codes(one)]


def _is_read_at_import(module: types.ModuleType, name: str) -> bool:
    """Whether a module reads its own name outside of function bodies (defaults and decorators are outside)."""
    path = getattr(module, "__file__", None)
    if not path:
        return True
    return any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load)
        for one in _at_import(ast.parse(Path(path).read_text(encoding="utf-8")))
    )


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    for key, value in ast.iter_fields(node):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and key == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from _at_import(child)

"""Copies functions, classes and constants of the lab, with all they need, into one piece of source without the lab.

What a name refers to is read from the syntax tree. Checks of values that the configuration has passed already
(`if …: raise …`) are left out, comments and docstrings stay. A name that means two things is refused.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

_OURS = "lab"
Import = tuple[str, str, str]  # module, name in it ("" for the module itself), name here


@dataclass(frozen=True, slots=True)
class Piece:
    """One top-level statement: its source, and the names it uses."""

    text: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Module:
    """What a module of the lab defines and imports, by name."""

    name: str
    pieces: Mapping[str, Piece]
    imports: Mapping[str, Import]


@dataclass
class Inliner:
    """Collects pieces in the order in which they can be written down: what is needed comes first.

    replaced: source to use instead of a definition of the lab, by "module:name".
    """

    replaced: Mapping[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    imports: set[Import] = field(default_factory=set)
    _owners: dict[str, str] = field(default_factory=dict)

    def add(self, module: str, name: str) -> str:
        """Copy one definition and what it needs; return its name."""
        parsed = read_module(module)
        if name in parsed.imports and name not in parsed.pieces:
            origin, original, _ = parsed.imports[name]
            return self.add(origin, original)
        if self._owners.setdefault(name, module) != module:
            raise ValueError(f"{name} is defined in {module} and in {self._owners[name]}: rename one of them")
        piece = self._piece(module, name, parsed)
        if piece.text in self.texts:
            return name
        for used in sorted(piece.names - {name}):
            self._use(used, parsed)
        if piece.text not in self.texts:
            self.texts.append(piece.text)
        return name

    def _piece(self, module: str, name: str, parsed: Module) -> Piece:
        text = self.replaced.get(f"{module}:{name}")
        return Piece(text, used_names(ast.parse(text))) if text else parsed.pieces[name]

    def _use(self, name: str, parsed: Module) -> None:
        if name in parsed.pieces:
            self.add(parsed.name, name)
        elif name in parsed.imports:
            module, original, _ = parsed.imports[name]
            if module.split(".")[0] == _OURS:
                self.add(module, original)
            else:
                self.imports.add(parsed.imports[name])


@cache
def read_module(name: str) -> Module:
    """Parse a module of the lab."""
    source = inspect.getsource(importlib.import_module(name))
    lines = source.splitlines()
    pieces: dict[str, Piece] = {}
    imports: dict[str, Import] = {}
    for node in ast.parse(source).body:
        imports |= {found[2]: found for found in _imports(node)}
        for defined in _defined(node):
            text = _text(node, lines)
            pieces[defined] = Piece(text, used_names(ast.parse(text)))
    return Module(name, pieces, imports)


def _imports(node: ast.stmt) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.name, "", alias.asname or alias.name.split(".")[0])
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            if (node.module, alias.name) == ("torch.nn", "functional"):
                yield ("torch.nn.functional", "", alias.asname or alias.name)
            else:
                yield (node.module, alias.name, alias.asname or alias.name)


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (leaf.id for leaf in ast.walk(target) if isinstance(leaf, ast.Name))


def _text(node: ast.stmt, lines: list[str]) -> str:
    """Return the statement's lines with its decorators and the comment above it, without its guards."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    last = node.end_lineno or node.lineno
    guards = {
        number
        for inner in ast.walk(node)
        if isinstance(inner, ast.If) and not inner.orelse and all(isinstance(s, ast.Raise) for s in inner.body)
        for number in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
    }
    kept = [line for number, line in enumerate(lines[first - 1 : last], start=first) if number not in guards]
    return "\n".join(kept)


def used_names(tree: ast.AST) -> frozenset[str]:
    """Return every plain name in a piece of source."""
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def import_lines(imports: set[Import]) -> list[str]:
    """Write imports the way isort does: plain ones first, names of one module together."""
    plain = sorted((module, here) for module, name, here in imports if not name)
    lines = [f"import {m}" if m.split(".")[0] == here else f"import {m} as {here}" for m, here in plain]
    for module in sorted({module for module, name, _ in imports if name}):
        names = {n if n == here else f"{n} as {here}" for m, n, here in imports if m == module and n}
        lines.append(f"from {module} import {', '.join(sorted(names))}")
    return lines

"""Code outside the registry uses a data set's record, never its id: only the registry compares and lists ids."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.data.registry import list_datasets

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ("lab/data/published.py", "lab/data/registry.py")
IDS = frozenset(spec.id for spec in list_datasets())
PREFIXES = ("drawings-", "imported-", "emnist")
# Strings that have another meaning here: the digits of a photo in the output of `predict --json`.
OTHER_MEANINGS = {("lab/sketch/files.py", "digits"), ("lab/cli/commands/inference.py", "digits")}


def find_switches(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, id) of every comparison, dict key, subscript, `match` case and prefix test that depends on an id."""
    for node in ast.walk(ast.parse(source)):
        for part in _decisive(node):
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and _is_id(inner.value):
                    yield inner.lineno, inner.value


def _decisive(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node whose values decide what happens."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Dict):
        return [key for key in node.keys if key is not None]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.MatchValue):
        return [node.value]
    called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return list(node.args) if called in ("startswith", "removeprefix", "get") and isinstance(node, ast.Call) else []


def _is_id(text: str) -> bool:
    return text in IDS or text.startswith(PREFIXES)


FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("lab", "pages")
    for path in (ROOT / folder).rglob("*.py")
    if path.relative_to(ROOT).as_posix() not in REGISTRY
)


def test_no_code_switches_on_the_id_of_a_data_set() -> None:
    found = [
        f"{file}:{line} switches on {id!r}: give `DatasetSpec` a field for it"
        for file in FILES
        for line, id in find_switches((ROOT / file).read_text(encoding="utf-8"))
        if (file, id) not in OTHER_MEANINGS
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        'first = 1 if id == "emnist-letters" else 0',
        'if spec.id in ("qmnist", "usps"): pass',
        'FOLDERS = {"mnist": "MNIST"}',
        'if id.startswith("emnist"): pass',
        'kind = kinds["fashion-mnist"]',
        'kind = kinds.get("kmnist")',
        'match id:\n    case "digits":\n        pass',
    ],
)
def test_a_switch_on_an_id_is_found_however_it_is_written(source: str) -> None:
    assert list(find_switches(source))


@pytest.mark.parametrize(
    "source", ['config = RunConfig(dataset="digits")', 'preset = {"dataset": "mnist"}', 'f("usps")']
)
def test_a_default_is_not_a_switch(source: str) -> None:
    assert not list(find_switches(source))

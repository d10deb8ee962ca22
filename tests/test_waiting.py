"""No test may depend on how busy the machine is: clicks wait for a page at rest, limits only end tests that hang."""

import ast
import re
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
_POLL_S = 2.0  # a single poll of a loop may be short
_LIMIT = re.compile(r"(?<![?\w])(?:default_)?timeout=(\d+(?:\.\d+)?)\b")
_READS = frozenset(
    [
        "all",
        "all_inner_texts",
        "all_text_contents",
        "bounding_box",
        "count",
        "evaluate",
        "evaluate_all",
        "get_attribute",
        "inner_html",
        "inner_text",
        "input_value",
        "is_checked",
        "is_disabled",
        "is_enabled",
        "is_hidden",
        "is_visible",
        "text_content",
    ]
)
_MIN_S = 60.0  # whatever is awaited may take long on a busy machine


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _clicks(path: Path) -> list[str]:
    """Return where a test clicks or focuses an element directly; the mouse, which clicks on positions, may be used."""
    return [
        f"{path.name}:{call.lineno}"
        for call in _calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("click", "focus")
        and not ast.unparse(call.func.value).endswith(".mouse")
    ]


def _reads_page(node: ast.AST, functions: Set[str]) -> bool:
    """Return whether an expression reads a page directly, and not in a lambda that may be called again."""
    if isinstance(node, ast.Lambda):
        return False
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in (_READS if isinstance(node.func, ast.Attribute) else functions):
            return True
    return any(_reads_page(child, functions) for child in ast.iter_child_nodes(node))


def _readers(functions: list[ast.FunctionDef]) -> set[str]:
    """Return the names of functions that return values read from a page, also through each other."""
    found: set[str] = set()
    while more := {
        each.name
        for each in functions
        if each.name not in found
        and any(isinstance(node, ast.Return) and _reads_page(node, found) for node in ast.walk(each))
    }:
        found |= more
    return found


def _single_reads(path: Path) -> list[str]:
    """Return where a test asserts a value read from a page once: it may change after the awaited text appears."""
    functions = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    readers, found = _readers(functions), []
    for function in functions:
        read = {
            name.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and _reads_page(node.value, readers)
            for target in node.targets
            for name in ([target] if isinstance(target, ast.Name) else getattr(target, "elts", []))
            if isinstance(name, ast.Name)
        }
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(function)
            if isinstance(node, ast.Assert)
            and not ast.unparse(node.test).endswith(" is not None")  # which narrows a type
            and (
                _reads_page(node.test, readers)
                or any(isinstance(name, ast.Name) and name.id in read for name in ast.walk(node.test))
            )
        ]
    return found


def _short_limits(path: Path) -> list[str]:
    return [
        f"{path.relative_to(TESTS)}: {found[0]}"
        for found in _LIMIT.finditer(path.read_text(encoding="utf-8"))
        if _POLL_S < float(found[1]) < _MIN_S
    ]


def test_browser_tests_click_and_focus_through_functions_that_wait_for_a_page_at_rest() -> None:
    bare = {"test_components.py", "test_parts.py"}  # one component in an empty page, which nothing redraws
    assert [
        each for path in (TESTS / "browser").glob("test_*.py") if path.name not in bare for each in _clicks(path)
    ] == []


def test_browser_tests_compare_values_read_from_a_page_through_functions_that_wait() -> None:
    assert [each for path in (TESTS / "browser").glob("test_*.py") for each in _single_reads(path)] == []


def test_browser_tests_open_windows_through_a_function_that_sets_the_limit() -> None:
    files = [path for path in (TESTS / "browser").glob("*.py") if path.name != "conftest.py"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert [name for name, text in texts.items() if re.search(r"\.new_context\(|browser\.new_page\(", text)] == []


def test_limits_are_long_enough_for_a_busy_machine() -> None:
    files = [path for path in TESTS.rglob("*.py") if path.relative_to(TESTS).parts[0] not in ("cluster", "mutation")]
    assert [each for path in files for each in _short_limits(path)] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("page.get_by_role('button').first.click()", True),
        ("button.click(force=True)", True),
        ("button.focus()", True),
        ("click(button)", False),
        ("page.mouse.click(1, 2)", False),
    ],
)
def test_a_click_is_recognised(line: str, found: bool, tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text(line, encoding="utf-8")
    assert bool(_clicks(file)) is found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("assert page.locator('b').count() == 1", True),
        ("seen = page.evaluate('x')\n    assert seen == [5]", True),
        ("low, high = _read(page)\n    assert low < 1", True),
        ("assert _through(page) == 1", True),
        ("until(page, lambda: page.evaluate('x') == 1, 'x')", False),
        ("becomes(page, lambda: _through(page), 1)", False),
        ("box = page.bounding_box()\n    assert box is not None", False),
        ("assert train(page) == 1", False),
    ],
)
def test_a_single_read_of_a_page_is_recognised(body: str, found: bool, tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    helpers = "def _through(page):\n    return _read(page)\n\ndef _read(page):\n    return page.evaluate('y')\n"
    file.write_text(f"{helpers}\ndef test_x(page):\n    {body}\n", encoding="utf-8")
    assert bool(_single_reads(file)) is found

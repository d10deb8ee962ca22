"""No test may hang on how busy the machine is: clicks come when no script redraws the page, and limits only end what hangs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
_LOOK_S = 2.0  # a single look of a loop, which looks again, may be short
_LIMIT = re.compile(r"(?<![?\w])(?:default_)?timeout=(\d+(?:\.\d+)?)\b")
_LEAST_S = 60.0  # what must come may take long on a machine that does much else


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _clicks(path: Path) -> list[str]:
    """Return where a test clicks on an element, or gives it the focus, by itself; the mouse, which clicks on places, may."""
    return [
        f"{path.name}:{call.lineno}"
        for call in _calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("click", "focus")
        and not ast.unparse(call.func.value).endswith(".mouse")
    ]


def _short_limits(path: Path) -> list[str]:
    return [
        f"{path.relative_to(TESTS)}: {found[0]}"
        for found in _LIMIT.finditer(path.read_text(encoding="utf-8"))
        if _LOOK_S < float(found[1]) < _LEAST_S
    ]


def test_browser_tests_click_and_focus_through_functions_that_wait_for_a_page_at_rest() -> None:
    bare = {"test_components.py", "test_parts.py"}  # one component in an empty page, which nothing redraws
    assert [
        each for path in (TESTS / "browser").glob("test_*.py") if path.name not in bare for each in _clicks(path)
    ] == []


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

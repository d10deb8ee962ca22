"""What opening a page imports: no page, nor the frame or the server, imports torch or other heavy packages to start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pages.registry import list_pages, page_path

ROOT = Path(__file__).resolve().parents[2]
_HEAVY = ("torch", "torchvision", "captum", "torchinfo", "scipy", "sklearn", "onnx", "tensorboard", "matplotlib")
_TABLES = ("pandas", "pyarrow")  # only Runs may import these when it opens


def _loaded(*steps: list[Path]) -> tuple[list[list[str]], str]:
    """Do the imports of some scripts in a new interpreter, in steps; return what is loaded after each, and stderr."""
    names = [[_imports(source) for source in sources] for sources in steps]
    script = f"""
import importlib, sys
for step in {names!r}:
    for source in step:
        for name in source:
            importlib.import_module(name)
    print(*[name for name in {_HEAVY + _TABLES!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.split() for line in done.stdout.splitlines()], done.stderr


def _imports(source: Path) -> list[str]:
    names = {
        node.module
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert names
    return sorted(names)


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """Return what is loaded after the imports of each page, in one interpreter.

    If several pages fail for the same package, the first of them is the one that imports it.
    """
    pages = sorted((spec.name for spec in list_pages()), key="runs".__eq__)  # Runs last: it alone may load tables
    found, _ = _loaded(*([Path(page_path(page))] for page in pages))
    return dict(zip(pages, found, strict=True))


@pytest.mark.parametrize("page", [spec.name for spec in list_pages()])
def test_a_page_opens_without_torch_and_other_heavy_packages(page: str, loaded: dict[str, list[str]]) -> None:
    allowed = _TABLES if page == "runs" else ()
    assert [name for name in loaded[page] if name not in allowed] == []


def test_the_frame_opens_without_torch_and_other_heavy_packages() -> None:
    assert _loaded([ROOT / "pages" / "entry.py", ROOT / "pages" / "frame.py"])[0] == [[]]


def test_the_server_starts_without_torch_and_without_a_warning_on_the_terminal() -> None:
    (loaded,), errors = _loaded([ROOT / "app.py"])
    assert ([name for name in loaded if name in _HEAVY], errors) == ([], "")


def test_views_with_torch_open_without_packages_that_only_one_of_them_needs() -> None:
    (loaded,), _ = _loaded([ROOT / "pages" / "inside" / "views.py", ROOT / "pages" / "draw" / "view.py"])
    assert set(loaded) <= {"torch", "torchinfo"}  # torchinfo counts the layers

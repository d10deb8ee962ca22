"""What opening a page imports: a page that lists and plots opens without torch, and the others draw their heading first."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pages.registry import list_pages, page_path

ROOT = Path(__file__).resolve().parents[2]
_HEAVY = ("torch", "torchvision", "captum", "torchinfo", "scipy", "sklearn", "onnx", "tensorboard", "matplotlib")
_TABLES = ("pandas", "pyarrow")  # what only Runs needs at once


def _import(sources: list[Path], watched: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Let a fresh interpreter do the imports of some scripts, and print which of the watched packages it has then."""
    names = sorted(
        {
            node.module
            for source in sources
            for node in ast.parse(source.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.module
        }
    )
    assert names
    script = f"import importlib, sys\nfor n in {names!r}: importlib.import_module(n)\n"
    script += f"print(*[n for n in {watched!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def _loaded_by(sources: list[Path], watched: tuple[str, ...]) -> list[str]:
    return _import(sources, watched).stdout.split()


@pytest.mark.parametrize("page", [spec.name for spec in list_pages()])
def test_a_page_opens_without_torch_and_other_heavy_packages(page: str) -> None:
    watched = _HEAVY if page == "runs" else _HEAVY + _TABLES
    assert _loaded_by([Path(page_path(page))], watched) == []


def test_the_frame_opens_without_torch_and_other_heavy_packages() -> None:
    assert _loaded_by([ROOT / "pages" / "entry.py", ROOT / "pages" / "frame.py"], _HEAVY + _TABLES) == []


def test_the_server_starts_without_torch_and_without_a_warning_on_the_terminal() -> None:
    done = _import([ROOT / "app.py"], _HEAVY)
    assert (done.stdout.split(), done.stderr) == ([], "")

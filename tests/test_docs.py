"""The docs match the code: the reference, the code map, the commands of the README and all links."""

import re
from pathlib import Path

import pytest

from lab.architectures import outline
from lab.cli.app import cli
from tests.reference_docs import PATH, render, render_outlines

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_matches_the_registries() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.reference_docs"


def test_the_outlines_of_the_networks_match_their_layers() -> None:
    assert outline.PATH.read_text(encoding="utf-8") == render_outlines(), "run: python -m tests.reference_docs"


def test_the_code_map_names_every_package() -> None:
    code_map = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    packages = {
        f"lab/{path.name}/" for path in (ROOT / "lab").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    modules = {f"lab/{path.name}" for path in (ROOT / "lab").glob("[a-z]*.py")}
    missing = sorted(name for name in packages | modules if f"`{name}`" not in code_map)
    assert missing == []


def test_every_command_the_readme_shows_exists() -> None:
    shown = set(re.findall(r"python -m lab ([a-z-]+)", README))
    assert shown
    assert shown <= set(cli.list_commands())


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_every_file_that_a_document_links_exists(document: Path) -> None:
    linked = re.findall(r"\]\(((?!https?:|#)[^)#]+)", document.read_text(encoding="utf-8"))
    assert [name for name in linked if not (document.parent / name).exists()] == []


def test_the_readme_links_every_document() -> None:
    documents = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert documents <= set(re.findall(r"\]\((docs/[^)]+)\)", README))

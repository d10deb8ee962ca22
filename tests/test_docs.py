"""The docs say what is there: the reference is the registries', the README's map names every package and every command works."""

import re
from pathlib import Path

from lab.architectures import outline
from lab.cli.app import cli
from tests.reference_docs import PATH, render, render_outlines

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_what_the_registries_say() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.reference_docs"


def test_the_outlines_of_the_networks_are_what_their_layers_say() -> None:
    assert outline.PATH.read_text(encoding="utf-8") == render_outlines(), "run: python -m tests.reference_docs"


def test_the_readme_maps_every_package() -> None:
    packages = {f"lab/{path.name}" for path in (ROOT / "lab").iterdir() if path.is_dir() and path.name != "__pycache__"}
    modules = {f"lab/{path.name}" for path in (ROOT / "lab").glob("[a-z]*.py")}
    missing = sorted(name for name in packages | modules if name not in README)
    assert missing == []


def test_every_command_the_readme_shows_exists() -> None:
    shown = set(re.findall(r"python -m lab ([a-z-]+)", README))
    assert shown
    assert shown <= set(cli.list_commands())


def test_every_file_the_readme_links_is_there() -> None:
    linked = re.findall(r"\]\(((?:docs|benchmarks)/[^)]+)\)", README)
    assert [name for name in linked if not (ROOT / name).exists()] == []

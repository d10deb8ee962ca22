"""What the commands print for people of one lab, word for word: `tests/golden/cli`, written by `python -m tests.golden.write_shown`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden import shown_cli
from tests.golden.shown_lab import shown_lab
from tests.golden.shown_pages import differences

LINES = [
    pytest.param(name, line, id=line, marks=pytest.mark.long if name == "files" else ())  # they compute with networks
    for name, lines in shown_cli.list_lines().items()
    for line in lines
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home of the lab that is shown."""
    home = tmp_path_factory.mktemp("shown") / "home"
    with shown_lab(home):
        shutil.copyfile(home / "lab.db", home.parent / "clean.db")
        yield home


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_command_prints_what_is_recorded(home: Path, name: str, line: str) -> None:
    expected = shown_cli.recorded(name)[line]
    found = shown_cli.answer(line, home, clean=home.parent / "clean.db")
    changed = differences(found, expected)
    assert not changed, "\n".join([*changed, "If this is meant: python -m tests.golden.write_shown"])


def test_nothing_else_is_recorded() -> None:
    assert {path.stem: tuple(shown_cli.recorded(path.stem)) for path in shown_cli.FOLDER.iterdir()} == (
        shown_cli.list_lines()
    )

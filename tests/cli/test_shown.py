"""The text output of the commands in one lab, compared with `tests/golden/cli`.

`python -m tests.golden.write_shown` writes these files.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden import shown_cli
from tests.golden.shown_lab import shown_lab
from tests.golden.shown_pages import differences

LINES = [
    pytest.param(name, line, id=line, marks=pytest.mark.long if name == "files" else ())  # they evaluate networks
    for name, lines in shown_cli.list_lines().items()
    for line in lines
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the home of the lab whose output is recorded."""
    home = tmp_path_factory.mktemp("shown") / "home"
    with shown_lab(home):
        shutil.copyfile(home / "lab.db", home.parent / "clean.db")
        yield home


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_command_prints_the_recorded_output(home: Path, name: str, line: str) -> None:
    expected = shown_cli.recorded(name)[line]
    found = shown_cli.answer(line, home, clean=home.parent / "clean.db")
    changed = differences(found, expected)
    assert not changed, "\n".join([*changed, "If this is intended: python -m tests.golden.write_shown"])


def test_there_are_no_recordings_without_a_command() -> None:
    assert {path.stem: tuple(shown_cli.recorded(path.stem)) for path in shown_cli.FOLDER.iterdir()} == (
        shown_cli.list_lines()
    )

"""The command line imports what a command needs, and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.app import COMMANDS, cli

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HEAVY = ("torch", "torchvision", "plotly", "PIL", "pandas", "streamlit", "jinja2")


def _heavy_modules(home: Path, *words: str) -> str:
    code = (
        "import sys; from lab.cli.app import main\n"
        f"try: main({list(words)!r})\n"
        f"finally: print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "LAB_HOME": str(home)},
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "words", [("--help",), ("runs",), ("runs", "--help"), ("train", "--help"), ("export", "--help"), ("queue",)]
)
def test_help_and_lists_open_without_torch_and_plotly(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert _heavy_modules(tmp_path, *words) == "heavy: []"


def test_every_command_of_the_table_is_there_and_says_what_its_help_says() -> None:
    commands = cli.load_all()
    assert set(commands) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        assert commands[command.name].name == command.name
        first = " ".join((commands[command.name].help or "").split("\n\n")[0].split())
        assert first.startswith(command.summary.removesuffix(".")), command.name


def test_an_unknown_command_is_none() -> None:
    assert cli.get_command(None, "no-such-command") is None

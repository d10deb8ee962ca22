"""A command imports only the packages it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.app import COMMANDS, cli

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HEAVY = (
    *("torch", "torchvision", "plotly", "PIL", "pandas", "streamlit", "jinja2", "scipy", "sklearn", "optuna", "captum"),
    *("matplotlib", "onnx", "onnxruntime", "sympy", "starlette", "requests", "aiohttp", "botocore"),
)


_LIGHT = (("--help",), ("runs",), ("runs", "--help"), ("train", "--help"), ("export", "--help"), ("queue",))
_REFUSED = (("predict", "nobody", "image.png"), ("evaluate", "nobody"), ("summary", "no-such-network"))
_HELP = tuple(words for command in COMMANDS if (words := (command.name, "--help")) not in _LIGHT)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], str]:
    """The heavy packages that are loaded after each of these commands, which one interpreter runs in turn."""
    all_words = (*_LIGHT, *_REFUSED, *_HELP)
    code = (
        "import sys; from lab.cli.app import main\n"
        f"for words in {all_words!r}:\n"
        "    try: main(list(words))\n"
        f"    except SystemExit as exited: assert bool(exited.code) is (words in {_REFUSED!r}), (words, exited.code)\n"
        f"    print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "LAB_HOME": str(tmp_path_factory.mktemp("home"))},
    )
    return dict(zip(all_words, (line for line in done.stdout.splitlines() if line.startswith("heavy:")), strict=True))


@pytest.mark.parametrize("words", [*_LIGHT, *_REFUSED, *_HELP], ids=" ".join)
def test_lists_refusals_and_the_help_of_each_command_import_no_heavy_package(
    words: tuple[str, ...], heavy: dict[tuple[str, ...], str]
) -> None:
    assert heavy[words] == "heavy: []"


def test_every_command_of_the_table_exists_and_has_the_summary_of_its_help() -> None:
    commands = cli.load_all()
    assert set(commands) == {command.name for command in COMMANDS}
    for command in COMMANDS:
        assert commands[command.name].name == command.name
        first = " ".join((commands[command.name].help or "").split("\n\n")[0].split())
        assert first.startswith(command.summary.removesuffix(".")), command.name


def test_get_command_returns_none_for_an_unknown_command() -> None:
    assert cli.get_command(None, "no-such-command") is None

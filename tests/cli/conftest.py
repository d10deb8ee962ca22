"""One lab for the tests of the CLI, with one run trained by a real background worker."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.cli.app import main
from lab.settings import Settings
from lab.worker.supervisor.launch import is_running

CommandLine = Callable[..., tuple[int, str, str]]


def run_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process and return (exit code, standard output, standard error)."""
    code: Any = 0
    try:
        main(list(words))
    except SystemExit as exited:
        code = exited.code
    out, err = capsys.readouterr()
    return int(code or 0), out, err


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A LAB_HOME for these tests, whose worker is stopped at the end."""
    folder = tmp_path_factory.mktemp("command_line")
    yield folder
    pid_file = folder / "supervisor.json"
    if pid_file.exists() and is_running(Settings.from_env({"LAB_HOME": str(folder)})):
        os.kill(json.loads(pid_file.read_text())["pid"], signal.SIGTERM)
        end = time.monotonic() + 120
        while is_running(Settings.from_env({"LAB_HOME": str(folder)})) and time.monotonic() < end:
            time.sleep(0.1)


@pytest.fixture
def command_line(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A function that runs a command and returns (exit code, standard output, standard error)."""
    monkeypatch.setenv("LAB_HOME", str(home))
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)

    return partial(run_command, capsys)


@pytest.fixture
def trained(command_line: CommandLine) -> dict[str, Any]:
    """The JSON of one finished run; the first test that uses it trains it."""
    code, out, err = command_line(
        "train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "2", "--name", "first", "--json"
    )
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer

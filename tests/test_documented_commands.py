"""Every command that the documents show is accepted as written; the quick ones are run."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from benchmarks.quartiles import write_quartiles
from lab.cli.app import cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/|python3? -m |make |streamlit )[^`\n#]*")
_VARIABLE = re.compile(r"[A-Z_]+=")
_QUICK = ("runs", "queue", "doctor")  # commands of the CLI that need no run and no network
_PLACEHOLDERS = {
    "RUN…": "RUN",
    "FORMAT": "bundle",
    "PATH": "out.zip",
    "BUNDLE": "in.zip",
}  # placeholders and values for them


def documented() -> dict[str, str]:
    """Return the commands of all documents, each with the file that shows it first."""
    found: dict[str, str] = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
        blocks = [block for language, block in fenced if not language] + re.findall(r"`([^`\n]+)`", text)
        for command in (part.strip() for block in blocks for part in block.splitlines()):
            if match := _COMMAND.match(command):
                found.setdefault(match[0].strip(), path.name)
    return found


COMMANDS = documented()


def _words(command: str) -> list[str]:
    """Return the words of a command without the environment variables before it."""
    words = shlex.split(command)
    while _VARIABLE.match(words[0]):
        words.pop(0)
    return words


def _of_module(prefix: str) -> list[str]:
    return sorted(command for command in COMMANDS if _words(command)[:2] == ["python", "-m"] and prefix in command)


LAB = [command for command in _of_module("lab") if _words(command)[2] == "lab"]
BENCHMARKS = [command for command in _of_module("benchmarks") if _words(command)[2].startswith("benchmarks.")]
MAKE = sorted(command for command in COMMANDS if _words(command)[0] == "make")


def test_the_documents_show_commands_of_every_kind() -> None:
    writers = {
        "python -m tests.reference_docs",
        "python -m tests.snapshots",
        "python -m lab.examples.make",
        *_of_module("tests.golden"),
    }
    known = {*LAB, *BENCHMARKS, *MAKE, *writers}
    others = {command for command in COMMANDS if command not in known}
    assert len(LAB) >= 10
    assert len(BENCHMARKS) >= 8
    assert {"make run", "make test", "make check", "make test-slow", "make test-gpu"} <= set(MAKE)
    assert others == {
        "python3 -m venv .venv",
        "python3 -m venv .venv-ray",
        ".venv/bin/pip install -c constraints.txt -e .",
        ".venv/bin/convlab serve",
        "streamlit run app.py",
        "LAB_SLOTS=2 .venv/bin/convlab serve",
        "LAB_DATABASE=postgresql+psycopg://lab:PASSWORD@db.example/lab LAB_ARTIFACTS=database:// "
        ".venv/bin/convlab serve",
        "LAB_DATABASE=postgresql+psycopg://lab:PASSWORD@db.example/lab LAB_ARTIFACTS=s3://bucket/lab "
        ".venv/bin/convlab serve",
        *_of_module("tests.mutation"),
        *_of_module("pytest"),
    }


@pytest.mark.parametrize("command", LAB)
def test_every_command_accepts_the_options_that_are_shown(command: str) -> None:
    words = [_PLACEHOLDERS.get(word, word) for word in _words(command)[3:]]
    found: click.Command = cli
    while isinstance(found, click.Group) and words:
        inner = found.get_command(click.Context(found), words[0])
        assert inner is not None, f"{COMMANDS[command]} shows {command!r}: there is no {words[0]!r}"
        found, words = inner, words[1:]
    found.make_context(found.name, words)  # raises for an unknown option or argument


@pytest.mark.parametrize(
    "command", [command for command in LAB if _words(command)[3] in _QUICK and "RUN" not in command]
)
def test_quick_commands_run_as_written(command: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    done = subprocess.run(
        [sys.executable, *_words(command)[1:]],
        cwd=ROOT,
        env=environment | {"LAB_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", BENCHMARKS)
def test_every_benchmark_accepts_the_options_that_are_shown(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, module, *options = _words(command)
    main = importlib.import_module(module).main
    monkeypatch.setattr(sys, "argv", [module, *options, "--help"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("command", MAKE)
def test_every_documented_make_target_exists(command: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *_words(command)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_files_that_set_up_and_start_the_lab_exist() -> None:
    for command, file in (
        (".venv/bin/pip install -c constraints.txt -e .", "constraints.txt"),
        ("streamlit run app.py", "app.py"),
    ):
        assert command in COMMANDS
        assert (ROOT / file).is_file()


# Options with which each benchmark takes less than a minute; `make test-slow` runs them all on the real MNIST.
_SHORT = {
    "benchmarks.training": ["--arch", "lenet5", "--updates", "4", "--repeats", "1"],
    "benchmarks.gpu": ["--device", "cpu", "--all"],
    "benchmarks.overhead": ["--repeats", "1"],
    "benchmarks.speedrun": ["--seeds", "1"],
    "benchmarks.web": ["--runs", "1", "--clicks", "2"],
    "benchmarks.inside": ["--arch", "lenet5", "--moves", "2"],
    "benchmarks.draw_latency": ["--rounds", "1"],
    "benchmarks.first_minute": ["--rounds", "1"],
    "benchmarks.first_network": ["--rounds", "1"],
    "benchmarks.imports": ["--points", "20000"],
    "benchmarks.handshakes": [],
    "benchmarks.verdicts": ["--repeats", "20"],
    "benchmarks.folds": ["--repeats", "5"],
    "benchmarks.sweeps": ["--scale", "50"],
    "benchmarks.queue": ["--queued", "20", "--repeats", "3"],
    "benchmarks.scale": ["--runs", "2000", "--queued", "20", "--repeats", "3"],
    "benchmarks.runs_page": ["--runs", "50", "--steps", "20", "--repeats", "2"],
}


# Columns that benchmarks print besides those of docs/benchmarks.md.
_UNSHOWN = {
    "benchmarks.draw_latency": {"pictures of the whole network during a stroke"},
    "benchmarks.overhead": {"processor time ÷ that of the engine alone, in turns"},
    "benchmarks.queue": {"owners"},
    "benchmarks.training": {"× plain loop, wall-clock time"},
}


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("module", sorted(_SHORT))
def test_every_benchmark_runs_on_the_real_mnist(module: str, tmp_path: Path) -> None:
    data = Path(os.environ.get("LAB_DATA") or ROOT.parent / "shared" / "data")
    if not (data / "MNIST").is_dir():
        pytest.skip("the real MNIST is neither under LAB_DATA nor under ../shared/data")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    environment |= {"LAB_DATA": str(data), "LAB_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", module, *_SHORT[module]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "|" in done.stdout or "median" in done.stdout
    shown = _columns((ROOT / "docs" / "benchmarks.md").read_text())
    assert _columns(done.stdout) - shown == _UNSHOWN.get(module, set())


def _columns(text: str) -> set[str]:
    """Return the names of the columns of all tables in Markdown."""
    headings = re.findall(r"^\|(.+)\|\n\|[-:| ]+\|$", text, flags=re.MULTILINE)
    return {column.strip() for line in headings for column in line.split("|")} - {""}


def test_every_documented_benchmark_is_among_those_that_are_run() -> None:
    shown = {_words(command)[2] for command in BENCHMARKS}
    # `sketch` and `photos` need trained runs, `findings` trains for minutes: only their options are checked.
    assert shown - {"benchmarks.sketch", "benchmarks.photos", "benchmarks.findings", "benchmarks.pictures"} == set(
        _SHORT
    )


@pytest.mark.parametrize(
    ("values", "written"), [([2.0], "2.0 (2.0–2.0)"), ([1.0, 2.0, 3.0], "2.0 (1.5–2.5)"), ([5.0, 1.0], "3.0 (2.0–4.0)")]
)
def test_a_single_measurement_is_written_like_several(values: list[float], written: str) -> None:
    assert write_quartiles(values, 1) == written

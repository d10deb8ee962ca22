"""A copy of the lab that a test may modify, to try what a developer would add to the code."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def copy_lab(root: Path) -> Path:
    """Copy the packages, pages and documentation generator into an empty folder; runs are stored in its "home"."""
    for name in ("lab", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/reference_docs.py", "app.py"):
        shutil.copy(ROOT / name, root / name)
    return root


def change(path: Path, changes: Mapping[str, str]) -> None:
    """Replace each text, which must occur in the file exactly once."""
    source = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path.write_text(source, encoding="utf-8")


def run_python(root: Path, *words: str) -> str:
    """Run Python in a copy and return its output; an error fails the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=environment | {"LAB_HOME": str(root / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Runs commands one after the other, so that torch is imported once. "{0}" stands for the id of the first trained run.
_COMMANDS = """
import contextlib, io, json, sys
from lab.cli.app import main
answers, runs = [], []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main([word.format(*runs) if word.startswith("{") else word for word in words])
        except SystemExit as leave:
            assert not leave.code, (words, leave.code)
    answers.append(out.getvalue())
    if words[0] == "train" and "--json" in words:
        runs.append(json.loads(answers[-1])["run"])
print(json.dumps(answers))
"""


def run_commands(root: Path, *commands: Sequence[str]) -> list[str]:
    """Run CLI commands in a copy, in one process, and return the output of each."""
    printed = run_python(root, "-c", _COMMANDS, json.dumps(commands))
    answers: list[str] = json.loads(printed)
    return answers


def train_command(*words: str, arch: str = "basic-cnn") -> list[str]:
    """Return the command that trains one epoch on 200 of the built-in digits and prints JSON."""
    return [
        "train",
        "--arch",
        arch,
        *["--dataset", "digits", "--train-limit", "200", "--epochs", "1", "--json"],
        *words,
    ]

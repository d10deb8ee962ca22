"""A copy of the lab that a test may change: what a programmer adds to the code is tried without touching the code."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def copy_lab(root: Path) -> Path:
    """Copy packages, pages and the documentation's writer into an empty folder; runs go to "home" below it."""
    for name in ("lab", "pages", ".streamlit"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for name in ("tests/__init__.py", "tests/reference_docs.py", "app.py"):
        shutil.copy(ROOT / name, root / name)
    return root


def change(path: Path, changes: Mapping[str, str]) -> None:
    """Replace each text, which must stand in the file exactly once."""
    source = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    path.write_text(source, encoding="utf-8")


def run_python(root: Path, *words: str) -> str:
    """Run Python in a copy and return what it printed; a failure fails the test."""
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


def train(root: Path, *words: str, arch: str = "basic-cnn") -> dict[str, object]:
    """Train for an epoch on 200 of the built-in digits and return what `train --json` prints."""
    settings = ["--arch", arch, "--dataset", "digits", "--train-limit", "200", "--epochs", "1", "--json"]
    found: dict[str, object] = json.loads(run_python(root, "-m", "lab", "train", *settings, *words))
    return found

"""Where the lab runs. Other systems and Pythons are answered with one sentence, by `make` and by every entry point."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lab.platforms import NEWEST, OLDEST, install_refusal, refusal

ROOT = Path(__file__).resolve().parent.parent
_AS_ON_WINDOWS = "import runpy, sys; sys.platform = 'win32'; sys.path.insert(0, '.'); runpy."


@pytest.mark.parametrize("system", ["linux", "darwin", "freebsd15"])
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 2), (3, 15, 0)])
def test_the_lab_starts_on_every_unix(system: str, version: tuple[int, ...]) -> None:
    assert refusal(system, version) == ""


@pytest.mark.parametrize(
    ("system", "version", "machine", "words"),
    [
        ("win32", (3, 12, 1), "AMD64", "install WSL"),
        ("cygwin", (3, 12, 1), "x86_64", "install WSL"),
        (
            "darwin",
            (3, 9, 6),
            "arm64",
            "3.11 or newer, but this is Python 3.9.6. Choose another: make PYTHON=python3.14",
        ),
        ("darwin", (3, 15, 0), "arm64", "not built for Python 3.15.0 yet. Choose another: make PYTHON=python3.14"),
        ("darwin", (3, 13, 0), "x86_64", "Apple silicon"),
    ],
)
def test_make_names_what_the_packages_cannot_be_installed_for(
    system: str, version: tuple[int, ...], machine: str, words: str
) -> None:
    assert words in install_refusal(system, version, machine)


@pytest.mark.parametrize(("system", "machine"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")])
@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 9)])
def test_make_installs_on_linux_and_on_macs_with_apple_silicon(
    system: str, machine: str, version: tuple[int, ...]
) -> None:
    assert install_refusal(system, version, machine) == ""


def test_the_package_is_restricted_to_the_same_pythons() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert stated == f">={OLDEST[0]}.{OLDEST[1]},<{NEWEST[0]}.{NEWEST[1] + 1}"


@pytest.mark.parametrize("start", ["run_module('lab', run_name='__main__')", "run_path('app.py')"])
def test_windows_gets_one_sentence_and_no_traceback(start: str) -> None:
    code = f"import streamlit\n{_AS_ON_WINDOWS}{start}" if "app" in start else f"{_AS_ON_WINDOWS}{start}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"Error: {refusal('win32', (3, 12))}"]


def test_the_scripts_of_the_checks_expand_no_empty_array_that_bash_3_2_calls_unset() -> None:
    """macOS ships bash 3.2. Under `set -u`, it ends a script at `"${array[@]}"` if the array is empty."""
    script = (ROOT / ".ci" / "check").read_text(encoding="utf-8")
    assert '${chosen[@]+"${chosen[@]}"}' in script
    assert '(python -m pytest "${chosen[@]}"' not in script

"""The lab as a package: the wheel contains every file it needs, the command starts it, versions are stated once."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-postgres.txt", "requirements-s3.txt")


def _requirements(name: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def _pinned() -> dict[str, str]:
    (specifiers,) = [{r.name: r.specifier for r in _requirements("constraints.txt")}]
    return {name: str(specifier).removeprefix("==") for name, specifier in specifiers.items()}


@pytest.mark.parametrize("name", FILES)
def test_the_pinned_versions_satisfy_the_requirements(name: str) -> None:
    pinned = _pinned()
    for requirement in _requirements(name):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name}: run make constraints"
        assert requirement.specifier.contains(version), f"{requirement.name} {version}: run make constraints"


def test_the_dependencies_are_stated_in_one_file() -> None:
    assert "dependencies" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}


def test_the_installed_command_does_the_same_as_the_module() -> None:
    module, _, name = PROJECT["project"]["scripts"]["convlab"].partition(":")
    start = f"from {module} import {name}; {name}()"
    answers = [
        subprocess.run([sys.executable, *words, "summary", "--help"], cwd=ROOT, capture_output=True, text=True)
        for words in (["-c", start], ["-m", "lab"])
    ]
    assert answers[0].stdout.startswith("Usage: convlab summary")
    assert answers[0].stdout.replace("Usage: convlab", "Usage: python -m lab") == answers[1].stdout


def test_a_wheel_contains_every_file_of_the_lab_and_of_its_pages(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "lab", "pages"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()} | {"app.py"}
    for name in [*files, "pyproject.toml", "requirements.txt", "README.md"]:
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*build, "-w", str(tmp_path), str(tmp_path / "source")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (wheel,) = tmp_path.glob("convlab-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert files - set(archive.namelist()) == set()

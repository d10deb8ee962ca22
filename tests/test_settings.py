"""Where a lab keeps its things: the same places for everyone who is given its settings, wherever they start."""

from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.service.lab import Lab
from lab.settings import PROCESS_ENVIRONMENT, Settings


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sqlite:///my lab.db", "sqlite:///{here}/my lab.db"),
        ("sqlite+pysqlite:///deep/lab.db?timeout=5", "sqlite+pysqlite:///{here}/deep/lab.db?timeout=5"),
        ("sqlite:////srv/lab.db", "sqlite:////srv/lab.db"),
        ("sqlite:////srv/50%25 off/what%3F.db?timeout=5", "sqlite:////srv/50%25 off/what%3F.db?timeout=5"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:lab.db?mode=ro&uri=true", "sqlite:///file:lab.db?mode=ro&uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://user@host/name", "postgresql+psycopg://user@host/name"),
    ],
)
def test_a_relative_database_is_meant_from_where_the_lab_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_DATABASE": given}).database == meant.format(here=tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("kept", "{here}/kept"), ("/srv/kept", "/srv/kept"), ("s3://bucket/kept", "s3://bucket/kept")],
)
def test_a_relative_place_of_saved_files_is_meant_from_where_the_lab_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_ARTIFACTS": given}).artifacts == meant.format(here=tmp_path)


def test_the_store_lies_in_the_home_whatever_its_name_is(tmp_path: Path) -> None:
    home = tmp_path / "50%20 off? #1"
    Lab(Settings.from_env({"LAB_HOME": str(home)})).store.close()
    assert (home / "lab.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [home.name]


def test_a_worker_that_starts_elsewhere_gets_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {"LAB_HOME": "home", "LAB_DATA": "data", "LAB_DATABASE": "sqlite:///lab.db", "LAB_ARTIFACTS": "kept"}
    settings = Settings.from_env(relative)
    monkeypatch.chdir("/")
    assert Settings.from_env(settings.environment()) == settings


@pytest.mark.parametrize(
    ("word", "meant"), [("1", True), (" Yes", True), ("on", True), ("", False), ("0", False), ("off", False)]
)
def test_a_lab_is_read_only_where_a_yes_says_so(word: str, meant: bool) -> None:
    assert Settings.from_env({"LAB_READ_ONLY": word}).read_only is meant


def test_a_word_that_is_neither_yes_nor_no_is_refused_because_it_may_be_meant_as_a_yes() -> None:
    with pytest.raises(ConfigError, match="LAB_READ_ONLY is 'y', but it must be 1, true, yes or on, or 0"):
        Settings.from_env({"LAB_READ_ONLY": "y"})


def test_a_home_of_nobody_is_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_HOME": "~no such user/lab"}).home == tmp_path / "~no such user/lab"


def test_a_worker_is_told_before_it_starts_how_cublas_can_be_deterministic() -> None:
    assert PROCESS_ENVIRONMENT["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"

"""The storage locations of a lab: the same for every process with its settings, whatever its working directory."""

from pathlib import Path

import pytest

from lab.errors import ConfigError, TextError
from lab.runs.edits import checked_owner
from lab.service.lab import Lab
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT, Settings, default_home, embedding_sites


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sqlite:///my lab.db", "sqlite:///{cwd}/my lab.db"),
        ("sqlite+pysqlite:///deep/lab.db?timeout=5", "sqlite+pysqlite:///{cwd}/deep/lab.db?timeout=5"),
        ("sqlite:////srv/lab.db", "sqlite:////srv/lab.db"),
        ("sqlite:////srv/50%25 off/what%3F.db?timeout=5", "sqlite:////srv/50%25 off/what%3F.db?timeout=5"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:lab.db?mode=ro&uri=true", "sqlite:///file:lab.db?mode=ro&uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://user@host/name", "postgresql+psycopg://user@host/name"),
    ],
)
def test_a_relative_path_of_the_database_is_resolved_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_DATABASE": value}).database == expected.format(cwd=tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("saved", "{cwd}/saved"), ("/srv/saved", "/srv/saved"), ("s3://bucket/saved", "s3://bucket/saved")],
)
def test_a_relative_path_of_saved_files_is_resolved_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_ARTIFACTS": value}).artifacts == expected.format(cwd=tmp_path)


def test_the_store_is_in_the_home_whatever_characters_its_path_has(tmp_path: Path) -> None:
    home = tmp_path / "50%20 off? #1"
    Lab(Settings.from_env({"LAB_HOME": str(home)})).store.close()
    assert (home / "lab.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [home.name]


def test_a_worker_with_another_working_directory_has_the_same_locations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {"LAB_HOME": "home", "LAB_DATA": "data", "LAB_DATABASE": "sqlite:///lab.db", "LAB_ARTIFACTS": "saved"}
    settings = Settings.from_env(relative)
    monkeypatch.chdir("/")
    assert Settings.from_env(settings.environment()) == settings


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), (" Yes", True), ("on", True), ("", False), ("0", False), ("off", False)]
)
def test_a_lab_is_read_only_if_the_variable_is_a_yes(value: str, expected: bool) -> None:
    assert Settings.from_env({"LAB_READ_ONLY": value}).read_only is expected


def test_a_value_of_read_only_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(ConfigError, match="LAB_READ_ONLY is 'y', but it must be 1, true, yes or on, or 0"):
        Settings.from_env({"LAB_READ_ONLY": "y"})


def test_a_home_of_an_unknown_user_is_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"LAB_HOME": "~no such user/lab"}).home == tmp_path / "~no such user/lab"


def test_the_environment_of_a_worker_lets_cublas_be_deterministic() -> None:
    assert PROCESS_ENVIRONMENT["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_installed_lab_without_a_checkout_has_its_home_in_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip and a new virtual environment delete what is in site-packages."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home(CHECKOUT) == CHECKOUT / ".lab"
    assert default_home(tmp_path / "site-packages") == tmp_path / ".convlab"


def test_the_sites_that_may_embed_the_lab_are_origins() -> None:
    sites = "https://moodle.example http://localhost:8080 http://[::1]:80"
    assert embedding_sites({"LAB_EMBED": sites}) == tuple(sites.split())
    assert embedding_sites({}) == ()


@pytest.mark.parametrize(
    "text",
    ["*", "moodle.example", "https://*.example", "https://a.example/course", "https://a;script-src", "ftp://a.example"],
)
def test_text_that_is_not_an_origin_is_refused_for_embedding(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the origin of a site: write scheme, host and") as refused:
        embedding_sites({"LAB_EMBED": f"https://moodle.example {text}"})
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("owner", ["x" * 61, "an\x1bn", "a\u202en"])
def test_the_owner_of_the_settings_is_checked_as_in_the_store(owner: str) -> None:
    with pytest.raises(TextError) as stored:
        checked_owner(owner)
    with pytest.raises(ConfigError) as given:
        Settings.from_env({"LAB_OWNER": owner})
    assert str(given.value).removeprefix("LAB_OWNER ") == str(stored.value).removeprefix("The owner ")
    assert Settings.from_env({"LAB_OWNER": " ann\n"}).owner == checked_owner(" ann\n") == "ann"

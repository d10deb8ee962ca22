"""No stored text or argument can control the terminal, and no error message is longer than 300 characters."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.cli.output import echo, print_table
from lab.service.lab import Lab
from lab.settings import Settings
from lab.text import hidden_character
from tests.cli.conftest import CommandLine
from tests.runs.runs_data import write_past_checks

ATTACK = "\x1b]0;owned\x07\x9b31m\u202e"


def _harmless(*outputs: str) -> bool:
    return all(hidden_character(output, lines=True) is None for output in outputs)


def test_stored_texts_reach_the_terminal_only_as_escapes(
    command_line: CommandLine, trained: dict[str, Any], home: Path
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    before = lab.store.runs.get(trained["run"])
    write_past_checks(lab.store, before.id, name=ATTACK, note=ATTACK, reason=ATTACK)
    try:
        for words in (("runs",), ("show", before.id), ("compare", before.id), ("verify",), ("tag", before.id, "x")):
            code, out, err = command_line(*words)
            assert code == 0
            assert _harmless(out, err), words
        assert r"\x9b31m" in command_line("show", before.id)[1]
    finally:
        write_past_checks(lab.store, before.id, name=before.name, note="", reason=before.reason, tags="")


def test_file_names_reach_the_terminal_only_as_escapes(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    path = str(tmp_path / f"a{ATTACK}.png")
    for words in (
        ("predict", "first", path),
        ("import", path),
        ("train", "--preset", path),
        ("export", path, "--format", path),
        ("export", "first", "--format", "csv", "--out", path),
        ("--data", path, "datasets"),
        ("--home", path, "doctor"),
        ("inspect", "first", "--layer", "features.conv1", "--out", path),
        ("datasets", "--fetch", path),
    ):
        _, out, err = command_line(*words)
        assert _harmless(out, err), words
        assert out + err


def test_cells_and_lines_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [[f"one\n{ATTACK}"]])
    echo(f"two\n\t{ATTACK}")
    out = capsys.readouterr().out
    assert _harmless(out)
    assert [line.strip().split("\\")[0] for line in out.splitlines()] == ["name", "one", "two", ""]


_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("{}",),
    ("--home", "/dev/null/{}", "runs"),
    ("--database", "{}", "runs"),
    ("--device", "{}", "doctor"),
    ("show", "{}"),
    ("runs", "--filter", "{}"),
    ("runs", "--filter", "{}:x"),
    ("runs", "--filter", "state:{}"),
    ("runs", "--filter", "lr<{}"),
    ("runs", "--sort", "{}"),
    ("runs", "--limit", "{}"),
    ("tag", "first", "{}"),
    ("train", "--name", "{}" * 3, "--epochs", "0"),
    ("train", "--arch", "{}"),
    ("train", "--dataset", "{}"),
    ("train", "--preset", "{}"),
    ("train", "--epochs", "{}"),
    ("train", "--lr", "{}"),
    ("train", "--optimizer", "{}"),
    ("train", "--arch-option", "{}"),
    ("train", "--arch-option", "{}=1"),
    ("train", "--init-from", "{}"),
    ("train", "--{}", "1"),
    ("summary", "{}"),
    ("summary", "lenet5", "--input-size", "{}"),
    ("summary", "lenet5", "--arch-option", "widths={}"),
    ("summary", "lenet5", "--arch-option", "{}=1"),
    ("export", "first", "--format", "{}", "--out", "x"),
    ("export", "{}", "--format", "csv", "--out", "x"),
    ("import", "{}"),
    ("predict", "first", "{}"),
    ("predict", "first", "x", "--epoch", "{}"),
    ("evaluate", "{}"),
    ("inspect", "first", "--layer", "{}", "--out", "x"),
    ("inspect", "first", "--layer", "conv1", "--image", "{}"),
    ("datasets", "--fetch", "{}"),
    ("compare", "first", "{}"),
    ("delete", "{}"),
    ("verify", "{}"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the test's own folder, to which a word that happens to be the start of a run's id is exported."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
@settings(
    max_examples=3,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40), st.integers(1, 900))
def test_an_error_message_is_one_short_sentence_whatever_the_arguments(
    command_line: CommandLine, trained: dict[str, Any], words: tuple[str, ...], text: str, times: int
) -> None:
    given_words = [word.replace("{}", (text * times)[:3_000]) for word in words]
    code, _, err = command_line(*given_words)
    if code == 0:  # a search that finds nothing, a tag that fits
        return
    assert _harmless(err)
    if err.startswith("Error: "):
        assert err.count("\n") == 1
        assert len(err.strip().removeprefix("Error: ")) <= 300
    else:
        assert err == "" or re.match(r"Usage: ", err)


def test_the_json_has_the_same_error_message(command_line: CommandLine) -> None:
    code, out, err = command_line("train", "--arch", "n" * 5_000, "--json")
    assert code == 2
    assert json.loads(out)["error"] == err.strip().removeprefix("Error: ")
    assert len(json.loads(out)["error"]) <= 300

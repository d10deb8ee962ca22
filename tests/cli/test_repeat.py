"""`repeat`: other seeds of a configuration, trained by a real worker; existing runs are not trained again."""

import json
from typing import Any

import pytest

from tests.cli.conftest import CommandLine

pytestmark = pytest.mark.long


def test_repeat_adds_only_the_missing_seeds_and_folds(command_line: CommandLine) -> None:
    words = ("train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "1", "--seed", "1", "--json")
    first: dict[str, Any] = json.loads(command_line(*words, "--name", "base", "--tag", "t")[1])
    code, out, err = command_line("repeat", first["run"], "--seeds", "3", "--json")
    answer = json.loads(out)
    assert code == 0, err
    assert (answer["seeds"], answer["queued"]) == ([0, 1, 2], 2)
    assert [one["cached"] for one in answer["runs"]] == [False, True, False]
    assert [one["name"] for one in answer["runs"]] == ["base, seed 0", "base", "base, seed 2"]
    assert all(one["state"] == "finished" and one["test_accuracy"] > 0.1 for one in answer["runs"])
    again = json.loads(command_line("repeat", first["run"], "--seeds", "3", "--json")[1])
    assert (again["queued"], [one["run"] for one in again["runs"]]) == (0, [one["run"] for one in answer["runs"]])
    _, text, _ = command_line("repeat", first["run"], "--seeds", "3")
    assert text.splitlines()[-1].startswith("0 runs added. Test accuracy: ")
    assert "(n = 3)" in text
    folds = json.loads(command_line("repeat", first["run"], "--folds", "2", "--json")[1])
    assert (folds["seeds"], folds["folds"], folds["queued"]) == ([1], 2, 2)
    assert [(one["name"], one["fold"]) for one in folds["runs"]] == [
        ("base, fold 1 of 2, seed 1", 1),
        ("base, fold 2 of 2, seed 1", 2),
    ]
    _, text, _ = command_line("repeat", folds["runs"][1]["run"])
    assert text.splitlines()[-1].startswith("0 runs added. Validation accuracy: ")
    assert text.rstrip().endswith("(2 folds).")
    code, _, err = command_line("repeat", first["run"], "--seeds", "0")
    assert code != 0
    assert "must be from 1 to 50" in err

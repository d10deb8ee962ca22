"""`compare` with a verdict: its fixed keys, its text, McNemar's test of two networks, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import CommandLine
from tests.comparison.compared_runs import HIGH, LOW, seeded

KEYS = ["verdict", "difference", "low", "high", "n_a", "n_b", "p", "test"]


def _sides(home: Path, n: int, **settings: object) -> tuple[list[str], list[str]]:
    """Return the arguments for n runs on each side; side A has lr 0.002, side B has `settings`."""
    store = Lab(Settings.from_env({"LAB_HOME": str(home)})).store
    a, b = seeded(store, LOW[:n], lr=0.002), seeded(store, HIGH[:n], **settings)
    return [word for run in a for word in ("--a", run.id)], [word for run in b for word in ("--b", run.id)]


def test_the_verdict_has_its_fixed_keys(command_line: CommandLine, tmp_path: Path) -> None:
    a, b = _sides(tmp_path, 5, lr=0.02)
    code, out, err = command_line("--home", str(tmp_path), "compare", *a, *b, "--verdict", "--json")
    answer = json.loads(out)
    assert code == 0, err
    assert list(answer)[:8] == KEYS
    assert [answer[key] for key in ("verdict", "n_a", "n_b", "test")] == ["yes", 5, 5, "permutation test"]
    assert answer["difference"] > answer["low"] > 0
    assert answer["text"].startswith("Significant: B (lr 0.02) is better than A (lr 0.002) by 1.64 points")
    code, out, _ = command_line("--home", str(tmp_path), "compare", *a, *b, "--verdict")
    assert (code, out) == (0, answer["text"] + "\n")


def test_too_few_runs_are_a_verdict_and_not_an_error(command_line: CommandLine, tmp_path: Path) -> None:
    a, b = _sides(tmp_path, 2, lr=0.02)
    code, out, _ = command_line("--home", str(tmp_path), "compare", *a, *b, "--verdict", "--json")
    answer = json.loads(out)
    assert code == 0
    assert [answer[key] for key in ("verdict", "low", "high", "p")] == ["not enough runs", None, None, None]
    assert "chance alone would do that 1 time in 3" in answer["text"]


def test_runs_without_sides_are_compared_by_their_settings(command_line: CommandLine, tmp_path: Path) -> None:
    a, b = _sides(tmp_path, 5, lr=0.02)
    ids = [word for word in (*a, *b) if not word.startswith("--")]
    answer = json.loads(command_line("--home", str(tmp_path), "compare", *ids, "--verdict", "--json")[1])
    assert (answer["verdict"], answer["a"], answer["b"]) == ("yes", ids[:5], ids[5:])
    store = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)})).store
    third = [run.id for run in seeded(store, LOW, lr=0.03)]
    several = json.loads(command_line("--home", str(tmp_path), "compare", *ids, *third, "--verdict", "--json")[1])
    assert [one["adjusted"] is not None for one in several["verdicts"]] == [True] * 3
    lines = command_line("--home", str(tmp_path), "compare", ids[0], ids[5], third[0], "--verdict")[1].splitlines()
    pairs = [("lr 0.002", "lr 0.02"), ("lr 0.002", "lr 0.03"), ("lr 0.02", "lr 0.03")]
    assert [line.partition(": Not enough")[0] for line in lines if "Not enough" in line] == [
        f"{a} and {b}" for a, b in pairs
    ]


@pytest.mark.long
def test_mcnemars_test_compares_the_predictions_of_both_networks(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    train = ("train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "1", "--lr", "0.00001", "--json")
    weak = json.loads(command_line(*train)[1])
    code, out, err = command_line("compare", weak["run"], trained["run"], "--mcnemar", "--json")
    answer = json.loads(out)
    assert code == 0, err
    assert (answer["verdict"], answer["test"]) == ("yes", "McNemar's exact test")
    assert answer["difference"] == round(359 * (trained["test_accuracy"] - weak["test_accuracy"])) / 359
    assert "several seeds" in answer["notes"][0]
    same = json.loads(command_line("compare", "--a", weak["run"], "--b", weak["run"], "--mcnemar", "--json")[1])
    assert "is on both sides" in same["error"]


def test_unclear_requests_are_refused(command_line: CommandLine) -> None:
    for words, part in (
        (("compare",), "Name the RUNS"),
        (("compare", "--a", "no-such-run", "--verdict"), "no run with the id or name"),
    ):
        code, _, err = command_line(*words)
        assert code != 0
        assert part in err

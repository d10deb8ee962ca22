"""The `queue` commands: the order in which runs are claimed, moves, priorities, and stopping all runs."""

import io
import json
import sys
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.service.workers import Workers
from lab.settings import Settings
from tests.cli.conftest import run_command


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab with one claimed and four queued runs, but no worker."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    for name in "abcde":
        lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=ord(name))), name=name)
    lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    return lab


def test_the_queue_lists_running_runs_before_queued_ones(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(capsys, "queue", "--json")
    answer = json.loads(out)["queue"]
    assert code == 0
    assert [(run["name"], run["state"], run["place"]) for run in answer] == [
        ("a", "running", None),
        ("b", "queued", 1),
        ("c", "queued", 2),
        ("d", "queued", 3),
        ("e", "queued", 4),
    ]
    table = run_command(capsys, "queue")[1]
    assert table.index(answer[0]["run"]) < table.index(answer[1]["run"]) < table.index(answer[4]["run"])


@pytest.mark.parametrize(("where", "after"), [("front", "ebcd"), ("up", "bced"), ("down", "bcde"), ("back", "bcde")])
def test_a_run_is_moved_by_its_name(lab: Lab, capsys: pytest.CaptureFixture[str], where: str, after: str) -> None:
    code, out, _ = run_command(capsys, "queue", "move", "e", where, "--json")
    assert code == 0
    assert "".join(run["name"] for run in json.loads(out)["queue"]) == after
    assert "".join(run.name for run in lab.store.queue.list()) == "a" + after


def test_a_running_run_cannot_be_moved_and_an_invalid_place_is_named(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run_command(capsys, "queue", "move", "a", "up")
    assert code == 1
    assert "is running, so it has no place in the queue" in err
    code, _, err = run_command(capsys, "queue", "move", "b", "sideways")
    assert code == 2
    assert "'sideways' is not one of" in err


def test_stop_all_stops_all_runs_and_asks_for_confirmation_without_json(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert "Stop 5 runs? [y/N]: " in run_command(capsys, "queue", "stop-all")[1]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # end of input instead of an answer
    assert run_command(capsys, "queue", "stop-all")[0] == 1
    assert len(lab.store.queue.list()) == 5
    code, out, _ = run_command(capsys, "queue", "stop-all", "--json")
    assert code == 0
    assert [run["state"] for run in json.loads(out)["stopped"]] == ["stopped"] * 4 + ["stopping"]
    assert [run.state for run in lab.store.queue.list()] == [RunState.STOPPING]
    assert "0 runs stopped" in run_command(capsys, "queue", "stop-all", "--yes")[1]


def test_a_read_only_lab_lists_the_queue_and_refuses_changes(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    assert run_command(capsys, "queue", "--json")[0] == 0
    for words in (("queue", "stop-all", "--yes"), ("queue", "move", "b", "back")):
        code, _, err = run_command(capsys, *words)
        assert code == 1
        assert "This lab is read-only" in err


def test_owners_take_turns_and_the_queue_shows_the_owner_of_each_run(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workers, "ensure", lambda _workers: None)  # start no worker
    train = ("train", "--dataset", "digits", "--detach", "--json")
    assert run_command(capsys, *train, "--seed", "1", "--name", "x", "--owner", "ann")[0] == 0
    assert run_command(capsys, "--owner", "bob", *train, "--seed", "2", "--name", "y", "--priority", "2")[0] == 0
    monkeypatch.setenv("LAB_OWNER", " eve ")
    assert run_command(capsys, *train, "--seed", "3", "--name", "z")[0] == 0
    listed = json.loads(run_command(capsys, "queue", "--json")[1])["queue"]
    assert [(run["name"], run["owner"], run["priority"], run["place"]) for run in listed] == [
        ("a", "", 0, None),
        ("y", "bob", 2, 1),
        ("x", "ann", 0, 2),
        ("z", "eve", 0, 3),
        ("b", "", 0, 4),
        ("c", "", 0, 5),
        ("d", "", 0, 6),
        ("e", "", 0, 7),
    ]
    mine = json.loads(run_command(capsys, "queue", "--owner", "eve", "--json")[1])["queue"]
    assert [(run["name"], run["place"]) for run in mine] == [("z", 3)]
    code, out, _ = run_command(capsys, "queue", "priority", "y", "--json", "--", "-1")
    assert code == 0
    assert [run["name"] for run in json.loads(out)["queue"]] == list("axzbcdey")
    assert "bob" in run_command(capsys, "queue")[1]


def test_an_invalid_priority_or_owner_is_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_command(capsys, "queue", "priority", "b", "1001")
    assert code == 2
    assert "1001 is not in the range -1000<=x<=1000" in err
    code, _, err = run_command(capsys, "train", "--dataset", "digits", "--detach", "--owner", "a\u202eb")
    assert code == 2
    assert "The owner contains the" in err
    monkeypatch.setenv("LAB_OWNER", "x" * 61)
    code, _, err = run_command(capsys, "queue")
    assert code == 2
    assert "LAB_OWNER has 61 characters, but at most 60 fit: shorten it." in err

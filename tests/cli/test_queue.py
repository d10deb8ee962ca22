"""`queue` on the command line: the order in which runs are taken, moves, and a stop of everything."""

import io
import json
import sys
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import run_command


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab with one run in training and four that wait; nobody works on them."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    for name in "abcde":
        lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=ord(name))), name=name)
    lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    return lab


def test_the_queue_lists_what_trains_then_what_waits(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_what_trains_cannot_be_moved_and_a_wrong_place_is_named(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run_command(capsys, "queue", "move", "a", "up")
    assert code == 1
    assert "is running, so it has no place in the queue" in err
    code, _, err = run_command(capsys, "queue", "move", "b", "sideways")
    assert code == 2
    assert "'sideways' is not one of" in err


def test_stop_all_stops_everything_and_asks_where_a_person_asks(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert "Stop 5 runs? [y/N]: " in run_command(capsys, "queue", "stop-all")[1]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # nobody answers
    assert run_command(capsys, "queue", "stop-all")[0] == 1
    assert len(lab.store.queue.list()) == 5
    code, out, _ = run_command(capsys, "queue", "stop-all", "--json")
    assert code == 0
    assert [run["state"] for run in json.loads(out)["stopped"]] == ["stopped"] * 4 + ["stopping"]
    assert [run.state for run in lab.store.queue.list()] == [RunState.STOPPING]
    assert "0 runs stopped" in run_command(capsys, "queue", "stop-all", "--yes")[1]


def test_a_read_only_lab_lists_the_queue_and_leaves_it(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    assert run_command(capsys, "queue", "--json")[0] == 0
    for words in (("queue", "stop-all", "--yes"), ("queue", "move", "b", "back")):
        code, _, err = run_command(capsys, *words)
        assert code == 1
        assert "This lab is read-only" in err

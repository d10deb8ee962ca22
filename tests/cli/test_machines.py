"""`machines` on the command line: hosts, slots, what runs where, and why the others wait."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.service.machines import behind_words
from lab.settings import Settings
from tests.cli.conftest import run_command

HERE = socket.gethostname()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab of two slots with four queued runs; nobody works on them."""
    environment = {"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cpu", "LAB_SLOTS": "2"}
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lab = Lab(Settings.from_env(environment))
    for name in "abcd":
        lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits", seed=ord(name))), name=name)
    return lab


def _announce(lab: Lab, owner: Owner, slot: str, *, engine: int = 1) -> None:
    lab.store.workers.announce(WorkerRecord(owner, slot, "cpu", engine=engine, slots=2))


def test_without_a_worker_the_slots_are_empty_and_everything_waits_for_one(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_command(capsys, "machines", "--json")
    answer = json.loads(out)
    assert code == 0
    slots = [{"slot": name, "device": "cpu", "run": None} for name in ("cpu", "cpu #2")]
    assert answer["hosts"] == [{"host": HERE, "alive": False, "engine": 1, "slots": slots}]
    assert len(answer["waiting"]) == 4
    assert all(entry["why"].startswith("no worker is alive on any host: ") for entry in answer["waiting"])


def test_slots_say_what_they_train_and_the_queue_how_many_are_before(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Owner.of_this_process()
    _announce(lab, me, "cpu")
    a, b, c, d = lab.store.queue.list()
    lab.store.leases.claim(slot="cpu", owner=me)
    waiting = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert [entry["why"] for entry in waiting] == ["a worker is starting", "behind 2 runs", "behind 3 runs"]
    _announce(lab, me, "cpu #2")
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert [slot["run"] for slot in answer["hosts"][0]["slots"]] == [a.id, None]
    whys = {entry["run"]: entry["why"] for entry in answer["waiting"]}
    assert whys == {b.id: "a worker takes it within a second", c.id: "behind 2 runs", d.id: "behind 3 runs"}
    lab.store.leases.claim(slot="cpu #2", owner=me)
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert answer["hosts"][0]["alive"] is True
    assert [(entry["run"], entry["why"]) for entry in answer["waiting"]] == [
        (c.id, "behind 2 runs"),
        (d.id, "behind 3 runs"),
    ]
    table = run_command(capsys, "machines")[1]
    assert a.id in table
    assert "behind 3 runs" in table


def test_a_run_that_others_pass_says_who_and_why(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    me = Owner.of_this_process()
    lab.store.queue.stop_all()
    _announce(lab, me, "cpu")
    _announce(lab, me, "cpu #2")

    def ask(name: str, owner: str, priority: int = 0) -> str:
        config = lab.validation.resolve(RunConfig(dataset="digits", seed=100 + ord(name)))
        return lab.submissions.submit(config, name=name, owner=owner, priority=priority).run.id

    ids = {name: ask(name, "eve") for name in "ab"}
    for slot in ("cpu", "cpu #2"):
        lab.store.leases.claim(slot=slot, owner=me)
    ids |= {name: ask(name, owner) for name, owner in [("m", "eve"), ("n", "eve"), ("x", "ann"), ("y", "ann")]}
    ids["p"] = ask("p", "", 5)
    waiting = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert {entry["run"]: entry["why"] for entry in waiting} == {
        ids["p"]: "behind 2 runs",
        ids["x"]: "behind 3 runs: 1 of higher priority",
        ids["m"]: "behind 4 runs: 1 of higher priority, 1 of ann, who was served longer ago",
        ids["y"]: "behind 5 runs: 1 of higher priority",
        ids["n"]: "behind 6 runs: 1 of higher priority, 2 of ann, who was served longer ago",
    }


@pytest.mark.parametrize(
    ("before", "busy", "words"),
    [
        ("", 1, "behind 1 run"),
        ("ann ann ann", 0, "behind 3 runs of ann, who was served longer ago"),
        ("ann+1 bob+2", 0, "behind 2 runs of higher priority"),
        ("me me ann", 1, "behind 4 runs: 1 of ann, who was served longer ago"),
        ("ann ann bob me", 0, "behind 4 runs: 3 whose owners were served longer ago"),
        ("ann bob eve", 0, "behind 3 runs whose owners were served longer ago"),
    ],
)
def test_the_reasons_for_waiting_in_words(lab: Lab, before: str, busy: int, words: str) -> None:
    (run, *_) = lab.store.queue.list()
    others = [
        replace(run, owner=owner, priority=int(priority or 0), queued_at=run.queued_at + 1)
        for owner, _, priority in (word.partition("+") for word in before.split())
    ]
    assert behind_words(replace(run, owner="me"), others, busy=busy) == words


def test_another_host_is_listed_behind_this_one_and_may_have_a_data_set_that_is_not_here(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.store.queue.stop_all()
    lab.store.queue.submit(RunConfig(dataset="kmnist"), fingerprint="k", family="")
    _announce(lab, Owner.of_this_process(), "cpu")
    (entry,) = json.loads(run_command(capsys, "machines", "--json")[1])["waiting"]
    assert entry["why"] == "its data set, Kuzushiji-MNIST, is not on this machine: fetch it, or the run will fail"
    far = Owner(host="far pid:[1]", pid=1, pid_start="x")
    _announce(lab, far, "cuda:0", engine=2)
    answer = json.loads(run_command(capsys, "machines", "--json")[1])
    assert [(host["host"], host["engine"]) for host in answer["hosts"]] == [(HERE, 1), ("far", 2)]
    assert "data set" not in answer["waiting"][0]["why"]


def test_two_containers_of_one_name_are_told_apart(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(lab, Owner(host=f"{HERE} pid:[1]", pid=1, pid_start="x"), "cpu")
    hosts = [host["host"] for host in json.loads(run_command(capsys, "machines", "--json")[1])["hosts"]]
    assert hosts == [Owner.of_this_process().host, f"{HERE} pid:[1]"]


def test_a_worker_of_a_slot_that_is_gone_is_listed_until_its_run_has_ended(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    me = Owner.of_this_process()
    _announce(lab, me, "cpu #3")
    run = lab.store.leases.claim(slot="cpu #3", owner=me)
    assert run is not None
    slots = json.loads(run_command(capsys, "machines", "--json")[1])["hosts"][0]["slots"]
    assert [(slot["slot"], slot["run"]) for slot in slots] == [("cpu", None), ("cpu #2", None), ("cpu #3", run.id)]
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    lab.store.workers.leave(WorkerRecord(me, "cpu #3", "cpu", engine=1, slots=2))
    slots = json.loads(run_command(capsys, "machines", "--json")[1])["hosts"][0]["slots"]
    assert len(slots) == 2


def test_the_flag_sets_the_slots_of_one_call(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(run_command(capsys, "--slots", "3", "machines", "--json")[1])
    assert [slot["slot"] for slot in answer["hosts"][0]["slots"]] == ["cpu", "cpu #2", "cpu #3"]
    code, _, err = run_command(capsys, "--slots", "none", "machines")
    assert code != 0
    assert "LAB_SLOTS is 'none'" in err

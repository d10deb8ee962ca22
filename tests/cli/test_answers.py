"""What the commands print of records whose values all differ, so that no key or column can have another's value."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.cli.app import main
from lab.cli.commands import machines, queue, sweep, train
from lab.cli.run_json import as_dict, as_listed
from lab.cli.starting import Starting
from lab.errors import StoreBusyError, WorkerStartError
from lab.findings import Finding
from lab.presets import list_presets
from lab.runs.headline import HeadlineResult
from lab.runs.hosts import HostState
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.runs.run_facts import RunSummary
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.service.machines import HostView, MachinesView, SlotView, Waiting
from lab.service.sweeps import Best, SweepView
from lab.settings import Settings
from lab.sweeps.records import Counts, Measured, Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import read_spec
from lab.worker.supervisor.failures import record_failing
from tests.charts.charts_data import run

SPEC = read_spec(
    {
        "name": "rates",
        "base": {"dataset": "digits", "epochs": 4},
        "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}},
        "method": "random",
        "trials": 8,
        "minutes": 2.5,
        "halving": {"factor": 2, "first_epochs": 1},
    }
)
RECORD = SweepRecord(
    id="abcdef012345",
    number=3,
    name="rates",
    spec=SPEC,
    state=SweepState.PAUSED,
    reason="by request",
    created_at=86_400.0,
)
MEASURED = (Measured(1, 0.75, 0.625), Measured(2, 0.5, 0.8125))
TRIALS = (
    TrialRecord(
        number=1,
        run="aaaa",
        params={"lr": 0.012345},
        rung=1,
        values=MEASURED,
        state=TrialState.PAUSED,
        decision="paused after epoch 2",
        source=Source.ADOPTED,
        seconds=61.0,
        epochs=2,
    ),
    TrialRecord(number=2, run="", params={"lr": 0.5}, state=TrialState.FAILED, decision="failed: no memory", epochs=0),
)
VIEW = SweepView(RECORD, TRIALS, Counts(1, 2, 3, 4, 5, 6), seconds=122.0, epochs=7, best=Best(TRIALS[0], MEASURED[1]))
UNREADABLE = replace(RECORD, spec=None, name="", problem="Sweep abcdef012345 is damaged.", reason="Sweep … is damaged.")


def test_the_json_of_a_sweep_has_each_value_under_its_own_key() -> None:
    assert sweep.as_dict(VIEW) == {
        "sweep": "abcdef012345",
        "name": "rates",
        "state": "paused",
        "reason": "by request",
        "counts": {"finished": 1, "paused": 2, "failed": 3, "running": 4, "queued": 5, "cached": 6},
        "epochs_spent": 7,
        "seconds_spent": 122.0,
        "best": {"run": "aaaa", "epoch": 2, "val_loss": 0.5, "val_accuracy": 0.8125},
        "trials": [
            {
                "trial": 1,
                "run": "aaaa",
                "settings": {"lr": 0.012345},
                "rung": 1,
                "decision": "paused after epoch 2",
                "state": "paused",
                "responding": True,
                "source": "adopted",
                "epochs": 2,
                "seconds": 61.0,
                "values": [
                    {"epoch": 1, "val_loss": 0.75, "val_accuracy": 0.625},
                    {"epoch": 2, "val_loss": 0.5, "val_accuracy": 0.8125},
                ],
            },
            {
                "trial": 2,
                "run": None,
                "settings": {"lr": 0.5},
                "rung": 0,
                "decision": "failed: no memory",
                "state": "failed",
                "responding": True,
                "source": "suggested",
                "epochs": 0,
                "seconds": 0.0,
                "values": [],
            },
        ],
    }
    tested = replace(VIEW, best=Best(TRIALS[0], MEASURED[1], 0.9375))
    assert sweep.as_dict(tested)["best"]["test_accuracy"] == 0.9375
    assert sweep.as_dict(replace(VIEW, best=None))["best"] is None
    assert sweep.listed(RECORD) == {
        "sweep": "abcdef012345",
        "name": "rates",
        "state": "paused",
        "reason": "by request",
        "method": "random",
        "trials": 8,
        "minutes": 2.5,
        "created_at": 86_400.0,
    }
    assert sweep.listed(UNREADABLE) == {"sweep": "abcdef012345", "state": "unreadable", "problem": UNREADABLE.problem}


def _lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Return the printed lines, split into words."""
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_text_of_a_sweep_has_counts_cost_best_and_trials(capsys: pytest.CaptureFixture[str]) -> None:
    sweep._print_view(VIEW)
    text = capsys.readouterr().out
    first, counts, cost, best, *rows = text.splitlines()
    assert first == "abcdef012345  rates  paused  by request"
    assert counts == "1 finished, 4 in training, 5 queued, 2 paused, 3 failed; 6 of them taken from earlier runs"
    assert cost == "7 epochs and 2 min 02 s of computing"
    assert best == "Best: trial 1, validation loss 0.5000, accuracy 81.25 % after epoch 2, its last so far"
    one, two = ([word for word in row.split("  ") if word.strip()] for row in rows if row.strip()[:1] in "12")
    assert [word.strip() for word in one] == [
        "1",
        "aaaa",
        "lr=0.0123",
        "2",
        "0.5000",
        "81.25 %",
        "paused",
        "paused after epoch 2",
    ]
    assert [word.strip() for word in two] == ["2", "lr=0.5", "failed", "failed: no memory"]
    silent = replace(TRIALS[1], state=TrialState.RUNNING, run_status="not responding", responding=False)
    sweep._print_view(replace(VIEW, trials=(silent,), counts=Counts(0, 0, 0, 2, 0, 0, silent=1)))
    assert "\n1 in training, 1 not responding\n" in (printed := capsys.readouterr().out)
    assert "  not responding  failed: no memory" in printed
    of = replace(run(epochs=4), saved=HeadlineResult(epoch=1, which="best", saved=True))
    tested = Best(replace(TRIALS[0], state=TrialState.FINISHED), MEASURED[1], 0.9375, of)
    sweep._print_view(replace(VIEW, best=tested, counts=Counts(0, 0, 0, 0, 0, 0)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "no trials"
    assert lines[3].endswith("after epoch 2, its last; 93.75 % on the test set")
    assert lines[4] == "Trials are compared after their last epoch; the run's own page shows epoch 1 of 4 (best)."
    sweep._print_view(replace(VIEW, sweep=UNREADABLE))
    assert len(_lines(capsys)) == 1
    sweep._print_short(VIEW, False)
    assert capsys.readouterr().out == "Sweep abcdef012345 is paused with 2 trials: by request.\n"
    sweep._print_short(VIEW, True)
    assert json.loads(capsys.readouterr().out) == {"sweep": "abcdef012345", "trials": 8, "state": "paused"}


RUN = replace(
    run(7, name="mine", seconds=12.5, summary={"final_epoch": 4, "test_accuracy": 0.5}, arch="mlp", epochs=9),
    reason="because",
    responding=False,
    created_at=1.0,
    finished_at=3.0,
    parent="parent",
    owner="ann",
    priority=-2,
    tags=("a", "b"),
    note="a note",
    notices=("a notice",),
    device="cuda:1",
    findings=(Finding("overfitting", "warning", "It overfits.", {"patience": 2}),),
    saved=HeadlineResult(30, 3, "best", test_accuracy=0.75, saved=True),
)


def test_the_json_of_a_run_has_each_value_under_its_own_key() -> None:
    assert as_listed(RUN) == as_dict(RUN)
    found = as_dict(RUN)
    headline, findings = found.pop("headline"), found.pop("findings")
    assert found == {
        "run": RUN.id,
        "name": "mine",
        "state": "finished",
        "outcome": RUN.status,
        "responding": False,
        "heartbeat_age_s": None,
        "reason": "because",
        "arch": "mlp",
        "dataset": "digits",
        "epochs": 9,
        "seconds": 12.5,
        "device": "cuda:1",
        "created_at": 1.0,
        "finished_at": 3.0,
        "parent": "parent",
        "owner": "ann",
        "priority": -2,
        "tags": ["a", "b"],
        "note": "a note",
        "notices": ["a notice"],
        "summary": {"final_epoch": 4, "test_accuracy": 0.5},
    }
    assert (headline["epoch"], headline["step"], headline["which"], headline["test_accuracy"]) == (3, 30, "best", 0.75)
    assert headline["saved"] is True
    (finding,) = findings
    assert {"overfitting", "warning", "It overfits."} <= {value for value in finding.values() if isinstance(value, str)}
    assert as_listed(replace(RUN, problem="damaged")) == {"run": RUN.id, "state": "unreadable", "problem": "damaged"}


def _queued(number: int, **more: Any) -> RunRecord:
    return replace(run(number, name=f"run {number}", state=RunState.QUEUED, epochs=number), **more)


def test_places_in_the_queue_count_all_queued_runs_even_if_one_owner_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [
        replace(run(1, state=RunState.RUNNING), owner="ann"),
        _queued(2, owner="bob", priority=5),
        _queued(3, owner="ann", priority=-1),
        _queued(4, owner=""),
    ]
    places = {None: [None, 1, 2, 3], "ann": [None, 2], "": [3], "eve": []}
    for owner, expected in places.items():
        queue._print_queue(runs, True, owner=owner)
        assert [entry["place"] for entry in json.loads(capsys.readouterr().out)["queue"]] == expected
    queue._print_queue(runs, False, owner="ann")
    row = next(line for line in _lines(capsys) if runs[2].id in line)
    assert row[:8] == ["2", runs[2].id, "queued", "run", "3", "lenet5", "digits", "3"]
    assert row[8:10] == ["ann", "-1"]


def test_hosts_have_a_line_for_each_slot_and_queued_runs_their_reason_for_waiting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slots = (SlotView("cuda:0", "cuda", "aaaa", True), SlotView("cpu #2", "cpu", None, False))
    hosts = (HostView("far", True, 3, slots, here=False, state=HostState.DRAINING, reason="it was asked to"),)
    view = MachinesView(hosts, (Waiting(_queued(5), "behind 1 run"),))
    machines._show(view, True)
    assert json.loads(capsys.readouterr().out) == {
        "hosts": [
            {
                "host": "far",
                "alive": True,
                "engine": 3,
                "state": "draining",
                "reason": "it was asked to",
                "slots": [
                    {"slot": "cuda:0", "device": "cuda", "run": "aaaa"},
                    {"slot": "cpu #2", "device": "cpu", "run": None},
                ],
            }
        ],
        "waiting": [{"run": _queued(5).id, "why": "behind 1 run"}],
    }
    machines._show(view, False)
    lines = _lines(capsys)
    assert ["far", "draining", "yes", "cuda:0", "cuda", "aaaa"] in lines
    assert ["far", "draining", "no", "cpu", "#2", "cpu"] in lines
    assert ["far:", "it", "was", "asked", "to"] in lines
    assert [_queued(5).id, "run", "5", "behind", "1", "run"] in lines
    machines._show(MachinesView(hosts, ()), False)
    assert not [line for line in _lines(capsys) if "waiting" in line]


def test_the_json_of_presets_matches_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    main(["presets", "--json"])
    found = {entry.pop("id"): entry for entry in json.loads(capsys.readouterr().out)["presets"]}
    assert list(found) == [preset.id for preset in list_presets()]
    for preset in list_presets():
        assert found[preset.id] == {
            "report": preset.report,
            "title": preset.title,
            "changes": json.loads(json.dumps(dict(preset.changes))),
            "reported": json.loads(json.dumps(preset.reported.as_dict())),
            "mistake": preset.mistake,
            "ours": preset.ours,
        }


def test_train_prints_findings_of_ended_runs_and_the_accuracy_of_finished_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train._print_run(RUN, cached=True)
    printed = capsys.readouterr().out
    assert printed.startswith(f"Run {RUN.id} is finished")
    assert printed.splitlines()[0].endswith(": because")
    assert "It was trained on" in printed
    assert "--no-cache trains it again." in printed
    assert "It overfits." in printed
    assert "75.00 %" in printed.partition("Accuracy: ")[2]
    train._print_run(RUN, cached=False)
    assert "It was trained on" not in capsys.readouterr().out
    for state, responding, words in (
        (RunState.RUNNING, True, "is training"),
        (RunState.RUNNING, False, "is not responding"),
        (RunState.QUEUED, True, "is queued"),
    ):
        live = replace(RUN, state=state, responding=responding, reason="", summary=RunSummary(), finished_at=None)
        train._print_run(live, cached=True)
        assert capsys.readouterr().out == f"Run {RUN.id} {words}.\n"
    train._print_run(replace(RUN, state=RunState.STOPPED, reason=""), cached=False)
    stopped = capsys.readouterr().out
    assert "It overfits." in stopped
    assert "Accuracy" not in stopped


def test_each_outage_of_the_store_is_reported_once_at_its_start_and_once_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    waiting = replace(RUN, state=RunState.QUEUED)
    away = StoreBusyError("The store is away.")
    results: list[StoreBusyError | RunRecord] = [away, away, waiting, waiting, away, waiting, RUN]
    answers = iter(results)
    started: list[float] = []

    def get(_: str) -> RunRecord:
        answer = next(answers)
        if isinstance(answer, StoreBusyError):
            raise answer
        return answer

    monkeypatch.setattr(lab.store.runs, "get", get)
    monkeypatch.setattr(lab.workers, "ensure", lambda: started.append(0.0))
    monkeypatch.setattr("lab.cli.commands.train.POLL_S", 0.0)
    assert train.follow(lab, waiting, quiet=False) is RUN
    again = "the store answers again after 0 s"
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Note:")]
    assert lines == ["The store is away.", again, "The store is away.", again]
    assert len(started) == 1  # the worker is checked every few seconds, not at every poll


def test_a_sweep_is_followed_through_an_outage_of_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    away = StoreBusyError("The store is away.")
    running = SweepView(replace(RECORD, state=SweepState.RUNNING), (), Counts.of(()), 0.0, 0, None)
    ended = replace(running, sweep=replace(RECORD, state=SweepState.FINISHED))
    results: list[StoreBusyError | SweepView] = [away, away, running, ended]
    answers = iter(results)

    def show(_: str) -> SweepView:
        answer = next(answers)
        if isinstance(answer, StoreBusyError):
            raise answer
        return answer

    monkeypatch.setattr(lab.sweeps, "show", show)
    monkeypatch.setattr(lab.workers, "ensure", lambda: False)
    monkeypatch.setattr("lab.cli.commands.sweep.POLL_S", 0.0)
    assert sweep.follow(lab, running, quiet=False) is ended
    assert capsys.readouterr().err.splitlines() == ["The store is away.", "the store answers again after 0 s"]


def test_a_store_that_is_away_is_not_asked_for_work_at_every_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, asked = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)})), []

    def ensure() -> bool:
        asked.append(len(asked))
        assert len(asked) == 1
        raise StoreBusyError("The store is away.")

    monkeypatch.setattr(lab.workers, "ensure", ensure)
    monkeypatch.setattr(lab.store.runs, "get", lambda _: RUN)
    monkeypatch.setattr("lab.cli.commands.train.POLL_S", 0.0)
    assert train.follow(lab, replace(RUN, state=RunState.QUEUED), quiet=True) is RUN
    assert asked == [0]


def test_a_worker_that_keeps_exiting_is_reported_once_with_the_path_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, messages = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)})), list[str]()
    starting = Starting(lab, messages.append)
    started = iter([True, False, True, True])  # False: there was no work, so nothing was started
    log = tmp_path / "logs" / "worker.log"
    log.parent.mkdir()

    def start() -> bool:
        log.write_text("2026-11-30 20:08:52 supervisor 7: The store is damaged.\n")
        return next(started)

    monkeypatch.setattr(lab.workers, "ensure", start)
    counts = [(starting.ensure(), len(messages))[1] for _ in range(4)]
    assert counts == [0, 0, 1, 1]
    assert messages == [f"The background worker exited and was restarted; see {log} for why."]
    with pytest.raises(WorkerStartError, match=rf"can start on this machine: see {log}, remove the cause"):
        starting.ensure()


def test_a_command_goes_on_waiting_while_another_machine_has_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    starting = Starting(lab, lambda _text: None)
    monkeypatch.setattr(lab.workers, "ensure", lambda: True)
    far = WorkerRecord(Owner("far", 1, "x"), "cpu", "cpu", 1, 1)
    starting.ensure()
    lab.store.workers.announce(far)
    record_failing(lab.settings, "no memory")
    starting.ensure()
    lab.store.workers.leave(far)
    record_failing(lab.settings, "no memory")
    with pytest.raises(WorkerStartError, match=r"No worker can start on this machine \(no memory\)"):
        starting.ensure()


def test_the_table_of_networks_matches_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["architectures", "--json"])
    known = json.loads(capsys.readouterr().out)["architectures"]
    main(["architectures"])
    rows = capsys.readouterr().out.splitlines()
    shown = {row.split()[0]: row for row in rows}
    for each in known:
        row = shown[each["id"]]
        assert row.split()[1] == each["input_size"]
        assert each["description"] in row
        assert all(f"{option['name']}={option['default']}" in row for option in each["options"])
    assert rows[0].split() == ["network", "input", "options", "what", "it", "is"]

"""Commands that change a run or wait for it: exit codes, output and waiting. The tests act as the runs' worker."""

import json
import re
import time
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lab.cli.commands import control, train
from lab.cli.commands.inference import _row
from lab.config import RunConfig
from lab.data.pictures import MAX_BYTES
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import CommandLine, run_command
from tests.processes import end_workers

CONFIG = RunConfig(dataset="digits", epochs=2)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))


@pytest.fixture
def call(lab: Lab, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A function that runs a command and returns (exit code, standard output, standard error)."""
    return partial(run_command, capsys)


def _claim(lab: Lab) -> RunRecord:
    lab.submissions.submit(lab.validation.resolve(CONFIG))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def _end_while_waiting(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, lab: Lab, run: RunRecord, state: RunState
) -> None:
    """End the run, as a worker would, while a command waits for it."""

    def sleep(_seconds: float) -> None:
        lab.store.leases.finish(run.id, run.lease, state=state)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (RunState.FINISHED, 0),
        (RunState.STOPPED, 1),
        (RunState.PAUSED, 1),
        (RunState.FAILED, 1),
        (RunState.INTERRUPTED, 1),
    ],
)
def test_train_exits_with_zero_only_if_the_run_it_waits_for_has_finished(
    lab: Lab, call: CommandLine, monkeypatch: pytest.MonkeyPatch, end: RunState, code: int
) -> None:
    run = _claim(lab)
    _end_while_waiting(monkeypatch, train, lab, run, end)
    exit_code, out, _ = call("train", "--dataset", "digits", "--epochs", "2", "--json")
    answer = json.loads(out)
    assert (exit_code, answer["run"], answer["state"], answer["cached"]) == (code, run.id, end.value, True)


def test_a_run_of_a_preset_has_the_presets_name_and_tag_unless_flags_set_others(lab: Lab, call: CommandLine) -> None:
    try:
        for words in (
            ("--preset", "lenet5-digits"),
            ("--preset", "c-basic-cnn", "--dataset", "digits"),
            (
                "--preset",
                "c-basic-cnn",
                "--dataset",
                "digits",
                *("--name", "mine", "--tag", "one", "--tag", "two", "--seed", "2"),
            ),
        ):
            code, out, _ = call("train", *words, "--epochs", "9000", "--detach", "--json")
            assert (code, json.loads(out)["cached"]) == (0, False)
    finally:
        end_workers(lab.settings.home)
    stored = {run.name: run.tags for run in lab.store.runs.list(limit=None)}
    assert stored == {"lenet5-digits": (), "c-basic-cnn": ("report-c",), "mine": ("one", "two")}


@pytest.mark.parametrize(("command", "state"), [("stop", RunState.STOPPED), ("pause", RunState.PAUSED)])
def test_stop_and_pause_wait_for_a_live_worker_and_report_the_state_of_the_run(
    lab: Lab, call: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str, state: RunState
) -> None:
    run = _claim(lab)
    _end_while_waiting(monkeypatch, control, lab, run, state)
    code, out, _ = call(command, run.id)
    assert (code, out) == (0, f"Run {run.id} is {state.value}.\n")


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_stop_and_pause_do_not_wait_for_a_worker_that_does_not_respond(
    lab: Lab, call: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    lab.submissions.submit(lab.validation.resolve(CONFIG))
    before = RunStore.open(lab.settings.database, clock=lambda: time.time() - 20)  # its lease has expired since
    run = before.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    waits: list[float] = []
    monkeypatch.setattr(control, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waits.append))
    code, out, _ = call(command, run.id, "--json")
    answer = json.loads(out)
    assert (code, answer["responding"], waits) == (0, False, [])
    assert answer["heartbeat_age_s"] == pytest.approx(20, abs=10)
    words = re.compile(rf"Run {run.id} is \w+ \(no heartbeat for 2\d s\)\.\n")
    assert words.fullmatch(call(command, run.id)[1])
    first, *_ = call("show", run.id)[1].splitlines()
    assert re.search(r"  not responding  no heartbeat for [23]\d s$", first)
    assert "not responding" in call("queue")[1]


def test_delete_reports_what_it_did_and_how_to_undo_it(lab: Lab, call: CommandLine) -> None:
    run = _claim(lab)
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    assert json.loads(call("delete", run.id, "--json")[1]) == {"run": run.id, "deleted": True}
    assert lab.store.runs.count() == 0
    assert json.loads(call("delete", run.id, "--undo", "--json")[1]) == {"run": run.id, "deleted": False}
    assert lab.store.runs.count() == 1
    assert call("delete", run.id)[1] == f"Run {run.id} is deleted; `delete --undo` with its full id restores it.\n"
    assert lab.store.runs.list() == ()
    assert call("delete", run.id, "--undo")[1] == f"Run {run.id} is restored.\n"
    assert [one.id for one in lab.store.runs.list()] == [run.id]


def test_a_flag_overrides_its_environment_variable(
    lab: Lab, call: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _claim(lab)
    assert json.loads(call("runs", "--json")[1])["total"] == 1
    assert json.loads(call("--home", str(tmp_path / "other"), "runs", "--json")[1])["total"] == 0
    monkeypatch.setenv("LAB_READ_ONLY", "0")
    assert "This lab is read-only" in call("--read-only", "queue", "stop-all", "--yes")[2]
    assert lab.store.runs.count(where="state:running") == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("extra", "words"), [(0, "cannot be read as a picture"), (1, "has more than 10,485,760 bytes")]
)
def test_predict_refuses_a_file_of_more_than_ten_mebibytes(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path, extra: int, words: str
) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + extra)
    code, _, err = command_line("predict", trained["run"], str(path))
    assert code == 2
    assert words in err


def _prediction(label: str, *shares: float, reasons: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"label": label, "probabilities": list(shares), "unsure": bool(reasons), "reasons": list(reasons)}


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        (_prediction("7", 0.1, 0.9), ("7", "90.00 %", "")),
        (_prediction("7", 0.4, 0.6, reasons=("why", "how")), ("7", "60.00 %", "unsure; why; how")),
        ({**_prediction("7", 0.1, 0.9), "digits": [_prediction("7", 0.1, 0.9)]}, ("7", "90.00 %", "")),
        (
            {**_prediction("71"), "digits": [_prediction("7", 0.1, 0.9), _prediction("1", 0.8, 0.2)]},
            ("71", "80.00 %", "2 digits"),  # the lowest confidence of the digits
        ),
        (
            {**_prediction("718", reasons=("why",)), "digits": [_prediction(digit, 0.3, 0.7) for digit in "718"]},
            ("718", "70.00 %", "3 digits; unsure; why"),
        ),
        (
            {**_prediction(""), "label": None, "digits": [], "reason": "There is no ink."},
            ("–", "–", "There is no ink."),
        ),
        ({**_prediction(""), "label": None, "error": "It cannot be read."}, ("–", "–", "It cannot be read.")),
    ],
)
def test_a_line_of_predict_has_the_lowest_confidence_and_the_reasons_for_doubt(
    answer: dict[str, Any], row: tuple[str, ...]
) -> None:
    assert _row({"image": "x.png", **answer}) == ("x.png", *row)

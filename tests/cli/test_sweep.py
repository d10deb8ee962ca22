"""The `sweep` commands: the JSON keys that scripts rely on, the text output, and what is refused."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import run_command
from tests.sweeps.sweep_runs import BASE, LR, work_until_idle

SPEC: dict[str, Any] = {
    "name": "cut",
    "base": BASE,
    "space": LR,
    "method": "random",
    "trials": 4,
    "minutes": None,
    "halving": {"factor": 2, "first_epochs": 1},
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a new lab in which no background worker is started; the test does its work."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("lab.service.workers.start_supervisor", lambda _settings: False)
    return Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "home")}))


def _spec(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**SPEC, **changes}))
    return str(path)


def test_a_sweep_created_by_the_cli_runs_to_its_end_and_is_shown_and_listed(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_command(capsys, "sweep", "create", _spec(tmp_path), "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made == {"sweep": made["sweep"], "trials": 4, "state": "running"}
    code, out, _ = run_command(capsys, "sweep", "show", made["sweep"], "--json")
    shown = json.loads(out)
    assert {"sweep", "state", "counts", "epochs_spent", "best", "trials"} <= shown.keys()
    assert shown["counts"] == {"finished": 0, "paused": 0, "failed": 0, "running": 0, "queued": 1, "cached": 0}
    assert (shown["best"], shown["epochs_spent"]) == (None, 0)
    assert {"run", "settings", "rung", "decision"} <= shown["trials"][0].keys()
    work_until_idle(lab)
    shown = json.loads(run_command(capsys, "sweep", "show", "cut", "--json")[1])
    assert shown["state"] == "finished"
    assert shown["counts"]["finished"] + shown["counts"]["paused"] == 4
    assert shown["epochs_spent"] == sum(trial["epochs"] for trial in shown["trials"])
    best = shown["best"]
    assert {"run", "val_loss", "val_accuracy", "test_accuracy"} <= best.keys()
    assert best["run"] in {trial["run"] for trial in shown["trials"]}
    text = run_command(capsys, "sweep", "show", made["sweep"])[1]
    assert "finished after 4 epochs" in text
    assert "on the test set" in text
    assert made["sweep"] in run_command(capsys, "sweep", "list")[1]
    listed = json.loads(run_command(capsys, "sweep", "list", "--json")[1])["sweeps"]
    assert [one["sweep"] for one in listed] == [made["sweep"]]


@pytest.mark.long
def test_the_best_trial_has_no_test_accuracy_while_the_sweep_runs(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(capsys, "sweep", "create", _spec(tmp_path), "--json")
    work_until_idle(lab, most=200)
    view = lab.store.sweeps.list()[0]
    lab.sweeps.extend(view.id, trials=1)
    shown = json.loads(run_command(capsys, "sweep", "show", view.id, "--json")[1])
    assert shown["state"] == "running"
    assert "test_accuracy" not in shown["best"]


def test_a_spec_is_read_from_standard_input_and_the_sweep_is_paused_and_resumed(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(SPEC)))
    made = json.loads(run_command(capsys, "sweep", "create", "-", "--json")[1])
    for command, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("resume", "running")):
        code, out, err = run_command(capsys, "sweep", command, made["sweep"], "--json")
        assert (code, json.loads(out)["state"]) == (0, state), err


def test_a_worker_is_started_only_by_commands_that_let_the_sweep_continue(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr("lab.service.workers.start_supervisor", lambda settings: started.append(settings))

    def starts(*words: str) -> int:
        started.clear()
        code, _, err = run_command(capsys, "sweep", *words)
        assert code == 0, err
        return len(started)

    assert starts("create", _spec(tmp_path)) == 1
    assert [starts(command, "cut") for command in ("pause", "resume", "stop", "resume")] == [0, 1, 0, 1]
    assert starts("extend", "cut", "--trials", "1") == 1
    assert starts("show", "cut") == starts("list") == 0


def test_ctrl_c_while_waiting_pauses_the_sweep(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.cli.commands.sweep.time.sleep", interrupt)
    code, out, err = run_command(capsys, "sweep", "create", _spec(tmp_path), "--wait")
    assert code == 0
    assert "trial 1: new: trains to epoch 1" in err
    assert "Pausing the sweep" in err
    assert "is paused with 1 trial" in out


@pytest.mark.long
def test_a_sweep_is_extended_adopts_and_is_exported(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = json.loads(run_command(capsys, "sweep", "create", _spec(tmp_path, trials=2), "--json")[1])
    work_until_idle(lab)
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"lr": {"values": [0.01, 0.02]}}))
    code, out, err = run_command(capsys, "sweep", "extend", "cut", "--trials", "2", "--space", str(space), "--json")
    assert (code, json.loads(out)) == (0, {"sweep": made["sweep"], "trials": 4, "state": "running"}), err
    assert run_command(capsys, "sweep", "extend", "cut")[0] == 2
    code, out, err = run_command(capsys, "sweep", "adopt", "cut", "--json")
    assert (code, json.loads(out)["adopted"]) == (0, 0), err
    for format, ending in (("csv", "csv"), ("optuna", "log")):
        path = tmp_path / f"out.{ending}"
        code, out, err = run_command(capsys, "sweep", "export", "cut", "--format", format, "--out", str(path), "--json")
        assert (code, json.loads(out)["bytes"]) == (0, path.stat().st_size), err
    code, _, err = run_command(capsys, "sweep", "export", "cut", "--format", "optima")
    assert code == 2
    assert "Did you mean 'optuna'?" in err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON (line 1, "),
        ("[" * 100_000, "is not JSON ("),
        ("[]", "it must be a JSON object with base and space"),
        (json.dumps({**SPEC, "trails": 3}), "Did you mean 'trials'?"),
        (json.dumps({**SPEC, "base": {"arch": "lenet6", "dataset": "digits", "epochs": 4}}), "Did you mean 'lenet5'?"),
        (json.dumps({**SPEC, "base": {**BASE, "dataset": "digit"}}), "Did you mean 'digits'?"),
        (
            json.dumps({**SPEC, "space": {"arch": {"values": ["lenet5", "lenet6"]}}}),
            "The space cannot be searched at arch",
        ),
    ],
)
def test_an_invalid_spec_is_a_usage_error_of_one_sentence_and_creates_no_sweep(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(text)
    code, out, err = run_command(capsys, "sweep", "create", str(path), "--json")
    assert (code, len(err.splitlines())) == (2, 1)
    assert sentence in err
    assert json.loads(out)["error"] in err
    assert lab.store.sweeps.list() == ()


def test_an_unknown_sweep_or_missing_spec_file_is_named(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("show", "pause", "resume", "stop"):
        code, _, err = run_command(capsys, "sweep", command, "nowhere")
        assert code == 2
        assert "There is no sweep 'nowhere'" in err
    code, _, err = run_command(capsys, "sweep", "create", str(tmp_path / "none.json"))
    assert code == 2
    assert "cannot be read (No such file or directory)" in err

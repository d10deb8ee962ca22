"""`runs --filter` and `report-table`, on runs that the test writes into the store."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.cli.app import main
from lab.presets import get_preset
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import Settings
from tests.cli.conftest import run_command

FAR = Owner(host="elsewhere", pid=1, pid_start="x")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab with two finished runs of report D's LeNet, seeds 0 and 1."""
    for name in ("LAB_DATA", "LAB_DATABASE", "LAB_ARTIFACTS", "LAB_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    made = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    config = made.validation.resolve(get_preset("d-lenet-bn").config()).config
    for seed, accuracy in ((0, 0.96), (1, 0.98)):
        made.store.queue.submit(config.replace(seed=seed), fingerprint=f"f{seed}", family="", name=f"lenet {seed}")
        run = made.store.leases.claim(slot="cpu", owner=FAR)
        assert run is not None
        summary = {"test_accuracy": accuracy, "train_loss": 0.1}
        made.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary, seconds=20.0 + seed)
    return made


def _command_line(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    code, out, err = run_command(capsys, *words, "--json")
    return code, json.loads(out), err


def test_runs_are_searched_and_sorted_as_on_the_page(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    _, answer, _ = _command_line(capsys, "runs", "--filter", "arch:lenet* test>97%")
    assert [run["name"] for run in answer["runs"]] == ["lenet 1"]
    assert answer["total"] == 1
    _, answer, _ = _command_line(capsys, "runs", "--sort=test")
    assert [run["name"] for run in answer["runs"]] == ["lenet 0", "lenet 1"]


def test_an_invalid_search_is_a_usage_error(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, err = _command_line(capsys, "runs", "--filter", "archh:lenet5")
    assert code == 2
    assert answer["error"] == "The search has no key 'archh'. Did you mean 'arch'?"
    assert answer["error"] in err


def test_the_table_of_a_report_has_reported_and_measured_values_side_by_side(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    _, answer, _ = _command_line(capsys, "report-table", "d")
    lenet, alexnet, *_ = answer["experiments"]
    assert lenet["reported"]["test_accuracy"] == 0.9748
    assert lenet["measured"]["test_accuracy"] == pytest.approx(
        {"n": 2, "mean": 0.97, "sd": 0.02 / 2**0.5, "folds": False}
    )
    assert lenet["measured"]["seconds"]["mean"] == 20.5
    assert len(lenet["runs"]) == 2
    assert alexnet["measured"]["test_accuracy"] is None
    assert alexnet["runs"] == []


def test_the_table_of_a_report_is_printed_as_text(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report-table", "D"])
    first = capsys.readouterr().out.splitlines()[1]
    assert first.split() == [
        "LeNet,",
        "5",
        "epochs",
        "lenet-bn",
        "97.48",
        "%",
        "97.00",
        "%",
        "–",
        "0.1",
        "40.72",
        "20.5",
        "2",
    ]


def test_an_unknown_report_is_a_usage_error(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer, _ = _command_line(capsys, "report-table", "Z")
    assert code == 2
    assert answer["error"].startswith("There is no report 'Z'. Choose one of: A, B")


def test_a_limited_list_of_runs_has_the_total_number_of_matches(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    count = lab.store.runs.count()
    assert count > 1
    _, answer, _ = _command_line(capsys, "runs", "--limit", "1")
    assert (len(answer["runs"]), answer["total"]) == (1, count)
    assert _command_line(capsys, "runs", "--filter", "name:nobody")[:2] == (0, {"runs": [], "total": 0})

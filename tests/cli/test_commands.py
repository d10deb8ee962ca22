"""The CLI end to end: a real worker trains, output is strict JSON, a usage error is one sentence and exit code 2."""

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from rich.console import Console

from lab.architectures.registry import list_architectures
from lab.cli.app import cli
from lab.cli.commands.train import _stop
from lab.config import FIELDS
from lab.data.load import load_dataset
from lab.examples.catalogue import EXAMPLES
from lab.formatting import format_loss
from lab.presets import PRESETS
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.sketch.render import Hand, draw_digit
from lab.worker.supervisor import process
from lab.worker.supervisor.launch import lock_path
from tests.cli.conftest import CommandLine


def _strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_json_of_train_has_the_keys_that_scripts_rely_on(trained: dict[str, Any]) -> None:
    expected = {
        "run",
        "state",
        "cached",
        "epochs",
        "test_accuracy",
        "val_accuracy",
        "test_loss",
        "seconds",
        "images_per_second",
    }
    assert expected <= trained.keys()
    assert (trained["state"], trained["epochs"]) == ("finished", 2)
    assert trained["test_accuracy"] > 0.6
    assert trained["images_per_second"] > 0


def test_training_the_same_configuration_again_returns_the_finished_run(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    code, out, _ = command_line("train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "2", "--json")
    again = _strict(out)
    assert code == 0
    assert (again["run"], again["cached"]) == (trained["run"], True)


def test_fork_continues_from_a_saved_epoch(command_line: CommandLine, trained: dict[str, Any]) -> None:
    code, out, err = command_line("fork", trained["run"], "--epoch", "1", "--json")
    same = _strict(out)
    assert (code, err, same["state"], same["cached"]) == (0, "", "finished", False)
    assert same.keys() == trained.keys()
    for name in ("epochs", "epoch", "test_accuracy", "val_accuracy", "test_loss"):
        assert same[name] == trained[name]
    code, out, _ = command_line("fork", "first", "--epoch", "1", "--set", "lr=0.01", "--set", "batch-size=32")
    assert code == 0
    assert "From first after epoch 1: batch 64 → 32, lr 0.001 → 0.01." in out
    child = _strict(command_line("runs", "--filter", "fork_epoch:1 lr:0.01", "--json")[1])["runs"][0]["run"]
    origin = _strict(command_line("show", child, "--json")[1])["origin"]
    changes = {"batch_size": [64, 32], "lr": [0.001, 0.01]}
    assert origin == {"run": trained["run"], "name": "first", "relation": "fork", "epoch": 1, "changes": changes}
    shown = _strict(command_line("show", "first", "--json")[1])
    assert (shown["origin"] or {}).get("relation") != "fork"  # it may continue a shorter run of another test
    assert {"run": child, "relation": "fork", "epoch": 1, "changes": changes}.items() <= shown["children"][-1].items()
    assert f"Forked from first ({trained['run']}) at epoch 1: batch 64 → 32" in command_line("show", child)[1]
    assert f"Fork at epoch 1: first after epoch 1 ({child}), batch 64 → 32" in command_line("show", "first")[1]
    code, _, err = command_line("fork", "first", "--epoch", "7")
    assert (code, err) == (2, "Error: Run first has no weights saved at the end of epoch 7: choose one of 1, 2.\n")
    code, _, err = command_line("fork", "first", "--epoch", "1", "--set", "learning=1")
    assert code == 2
    assert "No setting and no option of a network is called 'learning'" in err


def test_more_epochs_continue_the_shorter_run(command_line: CommandLine, trained: dict[str, Any]) -> None:
    code, out, err = command_line("train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "3", "--json")
    assert code == 0, err
    longer = _strict(out)
    shown = _strict(command_line("show", longer["run"], "--json")[1])
    shorter = _strict(command_line("show", trained["run"], "--json")[1])
    assert shown["parent"] == trained["run"]
    losses = [row["train/loss"] for row in shown["metrics"] if "train/loss" in row]
    assert losses[:2] == [row["train/loss"] for row in shorter["metrics"] if "train/loss" in row]
    assert len(losses) == 3


def test_show_has_configuration_metrics_checkpoints_and_on_request_every_step(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    plain = _strict(command_line("show", trained["run"], "--json")[1])
    assert plain["config"]["dataset"] == "digits"
    assert {c["kind"] for c in plain["checkpoints"]} == {"weights", "checkpoint"}
    assert "steps" not in plain
    detailed = _strict(command_line("show", "first", "--metrics", "--json")[1])
    steps = detailed["steps"]["batch/loss"]["step"]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) == plain["summary"]["step"]


def test_runs_lists_the_examples_instead_of_the_users_runs_on_request(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    listed = _strict(command_line("runs", "--examples", "--sort", "name", "--json")[1])
    assert listed["total"] == len(EXAMPLES)
    assert {run["run"] for run in listed["runs"]} == {example.id for example in EXAMPLES}


def test_runs_lists_the_run(command_line: CommandLine, trained: dict[str, Any]) -> None:
    assert trained["run"] in {run["run"] for run in _strict(command_line("runs", "--json")[1])["runs"]}
    assert trained["run"] in command_line("runs")[1]


def test_predict_reads_a_picture_of_the_test_set(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    images = load_dataset("digits", root=tmp_path)
    picture = tmp_path / "digit.png"
    Image.fromarray(images.test_images[3]).save(picture)
    answer = _strict(command_line("predict", trained["run"], str(picture), "--json")[1])
    (reading,) = answer["predictions"]
    assert reading.keys() >= {"image", "label", "probabilities", "unsure", "reasons"}
    assert reading["label"] == str(np.argmax(reading["probabilities"]))
    assert sum(reading["probabilities"]) == pytest.approx(1)


def test_predict_reports_unreadable_files_reads_the_others_and_exits_with_one(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    good, bad, blank, gone = (tmp_path / name for name in ("good.png", "bad.png", "blank.png", "gone.png"))
    Image.fromarray(draw_digit("7", Hand(pen=20)).ink).save(good)
    Image.new("L", (300, 200), 240).save(blank)
    bad.write_bytes(b"no picture")
    words = ("predict", trained["run"], *map(str, (good, bad, blank, gone)), "--sketch")
    code, out, _ = command_line(*words, "--json")
    records = _strict(out)["predictions"]
    assert code == 1
    assert [Path(r["image"]).name for r in records] == ["good.png", "bad.png", "blank.png", "gone.png"]
    assert ["error" in r for r in records] == [False, True, False, True]
    assert records[0]["label"] in "0123456789"
    assert (records[2]["label"], records[2]["reason"][:19]) == (None, "There is no ink in ")
    code, out, _ = command_line(*words)
    assert code == 1
    assert "bad.png cannot be read as a picture" in out
    assert "There is no ink in" in out


def test_predict_splits_a_row_of_digits_and_exits_with_zero(command_line: CommandLine, trained: dict[str, Any]) -> None:
    row = CHECKOUT / "tests" / "cases" / "pictures" / "row-2026.png"
    code, out, _ = command_line("predict", trained["run"], str(row), "--sketch", "--json")
    (record,) = _strict(out)["predictions"]
    assert code == 0
    assert len(record["digits"]) == len(record["label"]) == 4
    assert "4 digits" in command_line("predict", trained["run"], str(row), "--sketch")[1]


def test_evaluate_of_all_epochs_agrees_with_the_metrics_of_the_training(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    reports = _strict(command_line("evaluate", trained["run"], "--all-epochs", "--json")[1])["epochs"]
    rows = _strict(command_line("show", trained["run"], "--json")[1])["metrics"]
    recorded = {row["step"]: row["test/accuracy"] for row in rows if "test/accuracy" in row}
    assert [r["epoch"] for r in reports][-2:] == [1, 2]
    for report in reports:
        assert report["accuracy"] == pytest.approx(recorded[report["step"]])
        assert sum(map(sum, report["confusion"])) == report["images"]
    losses = [row["val/loss"] for row in rows if row["step"] in {report["step"] for report in reports}]
    lines = command_line("evaluate", trained["run"], "--all-epochs")[1].splitlines()
    assert [line.endswith("lowest validation loss") for line in lines] == [loss == min(losses) for loss in losses]
    for line, report in zip(lines, reports, strict=True):  # not "loss": the training loss may have been another one
        assert f"test  cross-entropy {format_loss(report['loss'])}" in line


def test_inspect_writes_the_feature_maps_and_reports_each_channel(
    command_line: CommandLine, trained: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "new folder" / "maps.png"
    answer = _strict(
        command_line(
            "inspect", trained["run"], "--layer", "features.conv1", "--image", "test:0", "--out", str(out), "--json"
        )[1]
    )
    assert len(answer["channels"]) == 6
    with Image.open(out) as picture:
        assert picture.width > 6 * 28


def test_summary_counts_lenet5_like_the_report(command_line: CommandLine) -> None:
    found = _strict(command_line("summary", "lenet5", "--batch-size", "64", "--json")[1])
    assert found["total_params"] == found["trainable_params"] == 61_706
    assert round(found["total_mult_adds"] / 1e6, 2) == 27.07
    assert round(found["forward_backward_bytes"] / 1e6, 2) == 3.34
    assert {"name", "type", "depth", "output_shape", "params", "mult_adds"} <= found["layers"][0].keys()
    assert "Total params: 61,706" in command_line("summary", "lenet5")[1]


def test_architectures_presets_and_datasets_come_from_their_registries(command_line: CommandLine) -> None:
    assert [a["id"] for a in _strict(command_line("architectures", "--json")[1])["architectures"]] == [
        a.id for a in list_architectures()
    ]
    assert [p["id"] for p in _strict(command_line("presets", "--json")[1])["presets"]] == list(PRESETS)
    here = {d["id"]: d["here"] for d in _strict(command_line("datasets", "--json")[1])["datasets"]}
    assert here["digits"] is True
    assert here["mnist"] is False


def test_every_setting_has_a_flag() -> None:
    flags = {flag for parameter in cli.load_all()["train"].params for flag in parameter.opts}
    assert [spec.flag for spec in FIELDS.values() if spec.flag not in flags] == []


def test_every_command_with_output_has_a_json_flag() -> None:
    commands: dict[str, click.Command] = {}
    for name, command in cli.load_all().items():
        if isinstance(command, click.Group):
            commands |= {f"{name} {own}": below for own, below in command.commands.items()}
            if not command.invoke_without_command:
                continue  # without a subcommand it prints its help
        commands[name] = command
    without = [
        name for name, command in commands.items() if "--json" not in {o for p in command.params for o in p.opts}
    ]
    assert without == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "--lr", "nan"), "lr is nan, but it must be above 0"),
        (("train", "--batch-size", "0"), "batch_size is 0"),
        (("train", "--arch", "lenet6"), "Did you mean 'lenet5'"),
        (("train", "--dataset", "minst"), "Did you mean 'mnist'"),
        (("train", "--preset", "d-lenetbn"), "Did you mean 'd-lenet-bn'"),
        (("train", "--epochs", "many"), "not a valid integer"),
        (("train", "--dataset", "digits", "--device", "abacus"), "The device 'abacus' is not on this machine"),
        (("train", "--arch-option", "widths"), "NAME=VALUE"),
        (("train", "--arch", "vgg11", "--input-size", "native", "--dataset", "digits"), "the smallest size that works"),
        (("show", "no-such-run"), "There is no run"),
        (("evaluate", "first", "--epoch", "99"), "was not saved"),
        (("evaluate", "first", "--epoch", "soon"), "best or latest"),
        (("evaluate", "first", "--epoch", "²"), "best or latest"),
        (("robustness", "first", "--distortion", "shifts"), "There is no distortion 'shifts'. Did you mean 'shift'?"),
        (("robustness", "first", "--images", "0"), "0 is not in the range x>=1"),
        (("evaluate", "first", "--epoch", "9" * 5_000), "best or latest"),
        (("inspect", "first", "--layer", "conv9", "--out", "x.png"), "has no layer 'conv9'"),
        (("inspect", "first", "--layer", "features.conv1", "--out", "/dev/null/x.png"), "x.png cannot be written"),
        (("inspect", "first", "--layer", "features.conv1", "--out", "/"), "is a directory"),
        (("predict", "first", "nowhere.png"), "cannot be read"),
        (
            ("nonsense",),
            "There is no command 'nonsense'. "
            "Choose one of: architectures, compare, datasets, delete, doctor, evaluate, export,",
        ),
        (("trian",), "There is no command 'trian'. Did you mean 'train'?"),
        (("sweep", "shwo"), "There is no command 'shwo'. Did you mean 'show'?"),
    ],
)
def test_a_usage_error_is_one_sentence_and_exit_code_two(
    command_line: CommandLine, trained: dict[str, Any], words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = command_line(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("Error: ")
    assert "Traceback" not in err


def test_with_json_an_error_is_printed_as_json(command_line: CommandLine) -> None:
    code, out, _ = command_line("train", "--lr", "nan", "--json")
    assert code == 2
    assert "above 0" in _strict(out)["error"]


def test_training_on_a_data_set_that_is_not_downloaded_suggests_the_digits(command_line: CommandLine) -> None:
    code, _, err = command_line("train", "--dataset", "mnist")
    assert code == 1
    assert "digits" in err


def test_a_read_only_lab_refuses_train(command_line: CommandLine) -> None:
    code, _, err = command_line("--read-only", "train", "--dataset", "digits", "--epochs", "9")
    assert code == 1
    assert "LAB_READ_ONLY" in err


def test_a_home_that_cannot_be_created_is_reported_in_one_sentence(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in ("runs", "doctor"):
        code, _, err = command_line("--home", str(tmp_path / "file" / "home"), command)
        assert code == 1
        assert "set LAB_HOME to a folder that can be written" in err


def test_every_environment_variable_has_a_flag(command_line: CommandLine, tmp_path: Path) -> None:
    variables = set(Settings.from_env({}).environment())
    assert {f"LAB_{parameter.name.upper()}" for parameter in cli.params if parameter.name} >= variables
    found = _strict(command_line("--home", str(tmp_path), "--device", "abacus", "doctor", "--json")[1])
    assert [p for p in found["problems"] if "The device 'abacus' is not on this machine" in p]


def test_the_worker_creates_a_home_that_only_its_owner_can_access(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.1)
    home = tmp_path / "new"
    assert _strict(command_line("--home", str(home), "worker", "--json")[1]) == {"exit_code": 0}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_second_worker_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    """The lock is that of a separate home, because the worker of the other tests may have exited when it was idle."""
    settings = Settings.from_env({"LAB_HOME": str(tmp_path / "other")})
    settings.make_home()
    with FileLock(lock_path(settings)):
        code, _, err = command_line("--home", str(settings.home), "worker")
    assert code == 1
    assert "already running" in err


def test_the_doctor_finds_no_problems_in_an_intact_lab(command_line: CommandLine) -> None:
    code, out, _ = command_line("doctor", "--json")
    found = _strict(out)
    assert (code, found["problems"]) == (0, [])
    assert "digits" in found["datasets"]


def test_tags_can_be_added_and_removed_and_a_deleted_run_can_be_restored(
    command_line: CommandLine, trained: dict[str, Any]
) -> None:
    run = trained["run"]
    before = set(_strict(command_line("show", run, "--json")[1])["tags"])
    assert set(_strict(command_line("tag", run, "good", "liked", "--json")[1])["tags"]) - before == {"good", "liked"}
    assert set(_strict(command_line("tag", run, "liked", "--remove", "--json")[1])["tags"]) - before == {"good"}
    assert command_line("delete", run)[0] == 0
    assert command_line("show", run)[0] == 2
    assert command_line("delete", run, "--undo")[0] == 0
    assert command_line("show", run)[0] == 0


def test_ctrl_c_returns_the_run_unchanged_if_it_has_just_ended(
    command_line: CommandLine, trained: dict[str, Any], home: Path
) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    run = lab.store.runs.get(trained["run"])
    stale = replace(run, state=RunState.RUNNING)
    assert _stop(lab, stale, Console(quiet=True)) == run


def test_a_python_without_the_packages_prints_how_to_activate_the_environment() -> None:
    """`-S` leaves site-packages out, as the system's Python does, which many new users try first."""
    done = subprocess.run([sys.executable, "-S", "-m", "lab", "runs"], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "source .venv/bin/activate" in done.stderr
    assert "Traceback" not in done.stderr

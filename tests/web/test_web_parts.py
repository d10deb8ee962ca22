"""Small functions of the pages: names, ages, machines, choices, and the edits of a table in a session."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.architectures.registry import get_architecture
from lab.config import FIELDS, RunConfig
from lab.findings import DIVERGED, Finding
from lab.runs.records import WEIGHTS, RunRecord, RunState, SavedFile, Series
from lab.worker.supervisor.slots import count_visible
from pages.cache.runs import run_points
from pages.components.pixels import place_of
from pages.draw.runs import default_runs, label, readable_runs
from pages.inside.subject import _at, moments_of
from pages.runs.compare import lost_runs
from pages.state.options import option_text, parse_numbers
from pages.state.runs_view import MAX_RUNS, RunsView
from pages.train.run_view import device_words, results_words
from pages.train.settings_table import settings_table
from pages.widgets import machine
from pages.widgets.runs import format_ago, run_title
from pages.widgets.setting_input import _step
from tests.charts.charts_data import run
from tests.web.web_data import DIGITS_CONFIG, Bench, series


def _weights(bench: Bench, run: RunRecord, epoch: int, *, step: int = 0) -> SavedFile:
    step = step or 10 * epoch
    file = SavedFile(run.id, WEIGHTS, step, epoch, f"{run.id}/{step}", f"{step:064x}", 1, 0.0)
    bench.lab.store.files.add(run.id, run.lease, file)
    return file


def _ended(bench: Bench, *, accuracy: float | None = None, saved: bool = True, **changes: object) -> RunRecord:
    run = bench.start(DIGITS_CONFIG.replace(**changes))
    if saved:
        _weights(bench, run, 3)
    summary = {} if accuracy is None else {"test_accuracy": accuracy, "final_epoch": 3}
    if accuracy is not None:
        bench.write(run, series("test/accuracy", np.array([accuracy]), first=30))
    bench.lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary)
    return bench.lab.store.runs.get(run.id)


@pytest.mark.parametrize(
    ("age_s", "words"),
    [
        (-3_600, "2026-11-28 13:00 UTC"),
        (-5, "just now"),
        (59.9, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (7 * 86_400 - 1, "6 d ago"),
        (7 * 86_400, "2026-11-21 12:00 UTC"),
        (math.nan, "–"),
    ],
)
def test_an_age_is_in_its_largest_unit_and_after_a_week_or_in_the_future_a_date(age_s: float, words: str) -> None:
    noon = 1_795_867_200.0  # 2026-11-28 12:00 UTC
    assert format_ago(noon - age_s, now=noon) == words


def test_a_run_is_called_by_its_own_name_else_by_network_and_data_set(bench: Bench) -> None:
    run = bench.queue()
    assert run.name == "lenet5"
    assert run_title(run) == "LeNet-5 on Digits (built in)"
    bench.lab.store.edits.rename(run.id, "mine")
    assert run_title(bench.lab.store.runs.get(run.id)) == "mine"


# -- the machine -------------------------------------------------------------------------------------------------------


def _with_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, count: int) -> None:
    """Put a program named nvidia-smi first on the path, on a machine where torch finds `count` GPUs."""
    monkeypatch.setattr(machine, "count_gpus", lambda env: count_visible(count, env.get("CUDA_VISIBLE_DEVICES")))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    machine.describe_machine.cache_clear()
    machine._nvidia_names.cache_clear()


@pytest.fixture(autouse=True)
def clear_machine_caches() -> None:
    machine.describe_machine.cache_clear()
    machine._nvidia_names.cache_clear()


def test_two_gpus_are_offered_and_named_by_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_gpus(tmp_path, monkeypatch, 'echo "NVIDIA A"; echo " NVIDIA B "; echo', count=2)
    described = {device: machine.describe_machine(device) for device in ("auto", "cuda", "cuda:1", "CUDA:1", "cuda:9")}
    assert described == {
        "auto": "NVIDIA A (cuda)",
        "cuda": "NVIDIA A (cuda)",
        "cuda:1": "NVIDIA B (cuda)",
        "CUDA:1": "NVIDIA B (cuda)",
        "cuda:9": "NVIDIA B (cuda)",
    }
    assert machine.describe_machine("cpu").startswith("CPU, ")
    assert machine.device_choices() == ["auto", "cuda", "cuda:0", "cuda:1", "cpu"]


@pytest.mark.parametrize("script", ["echo 'no driver'; exit 9", "exit 0"])
def test_a_gpu_whose_name_is_unknown_is_still_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    _with_gpus(tmp_path, monkeypatch, script, count=1)
    assert machine.describe_machine() == "NVIDIA GPU (cuda)"
    assert machine.device_choices() == ["auto", "cuda", "cuda:0", "cpu"]


def test_gpus_that_torch_does_not_find_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver lists two, but this torch was built without CUDA."""
    _with_gpus(tmp_path, monkeypatch, 'echo "NVIDIA A"; echo "NVIDIA B"', count=0)
    assert machine.describe_machine().startswith("CPU, ")
    assert machine.device_choices() == ["auto", "cpu"]


@pytest.mark.parametrize(("visible", "names"), [("1", ["B"]), ("1,0", ["B", "A"]), ("0,-1,1", ["A"]), ("", [])])
def test_gpus_are_those_of_cuda_visible_devices_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]
) -> None:
    _with_gpus(tmp_path, monkeypatch, 'echo "A"; echo "B"', count=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices = [device for device in machine.device_choices() if device.startswith("cuda:")]
    assert [machine.describe_machine(device) for device in devices] == [f"{name} (cuda)" for name in names]


# -- runs that can read a drawing --------------------------------------------------------------------------------------


def test_runs_with_weights_are_offered_and_the_best_of_each_of_three_networks_is_the_default(bench: Bench) -> None:
    low, high = _ended(bench, accuracy=0.9), _ended(bench, accuracy=0.95, seed=1)
    other, untested = _ended(bench, accuracy=0.97, arch="conv2-bn"), _ended(bench, arch="basic-cnn")
    worst = _ended(bench, accuracy=0.5, arch="lenet-bn")
    without = _ended(bench, saved=False, seed=2, accuracy=0.99)
    runs = readable_runs()
    assert [run.id for run in runs] == [run.id for run in (worst, untested, other, high, low)]
    assert without.id not in [run.id for run in runs]
    assert [run.id for run in readable_runs(limit=3)] == [run.id for run in (worst, untested)]
    assert default_runs(runs) == [other.id, high.id, worst.id]
    assert default_runs(runs, count=1) == [other.id]
    assert default_runs([]) == []
    guessing = replace(worst, findings=(Finding(DIVERGED, "mistake", "Diverged: the loss is nan."),))
    assert default_runs([guessing, high]) == [high.id]
    assert default_runs([guessing]) == [guessing.id]


def test_equal_runs_are_distinguished_by_accuracy_augmentation_and_id(bench: Bench) -> None:
    plain, drawn = _ended(bench, accuracy=0.9), _ended(bench, augment="sketch")
    assert label(plain) == f"LeNet-5 on Digits (built in) · 90.00 % test, epoch 3 of 3 (last) · {plain.id[:4]}"
    assert label(drawn).startswith("LeNet-5 on Digits (built in), sketch augmentation · ")
    assert label(drawn).endswith(f", not tested · {drawn.id[:4]}")


# -- one run -----------------------------------------------------------------------------------------------------------


def test_inside_offers_the_untrained_network_and_the_newest_weights_of_each_epoch(bench: Bench) -> None:
    run = bench.start()
    one, _, two = _weights(bench, run, 1), _weights(bench, run, 2), _weights(bench, run, 2, step=25)
    moments, files = moments_of(run)
    assert [(moment.epoch, moment.digest) for moment in moments[1:]] == [(1, one.sha256), (2, two.sha256)]
    assert files == (one, two)
    assert [moment.words for moment in moments] == ["before training", "after epoch 1", "after epoch 2"]


def test_values_that_are_not_finite_are_unknown_next_to_the_epoch_slider(bench: Bench) -> None:
    files = tuple(_weights(bench, bench.start(), epoch) for epoch in (1,))
    known = Series("test/accuracy", np.array([10, 20]), np.array([math.nan, 0.5]), np.zeros(2))
    assert _at(known, files) == [None]
    assert _at(replace(known, value=np.array([0.25, math.inf])), (*files, replace(files[0], step=20))) == [0.25, None]
    assert _at(None, files) == [None]


def test_the_settings_of_a_run_are_listed_with_the_changed_ones_first(bench: Bench) -> None:
    rows = settings_table(bench.queue(RunConfig(dataset="digits", optimizer="sgd", lr=0.05, shuffle=False)))
    changed = [row for row in rows if row["Changed"]]
    assert rows[: len(changed)] == changed
    by_setting = {row["Setting"]: (row["Value"], row["Default"], row["Changed"]) for row in rows}
    assert by_setting["Learning rate"] == ("0.05", "0.001", "changed")
    assert by_setting["Shuffle"] == ("no", "yes", "changed")
    assert by_setting["Momentum"] == ("0.9", "0.9", "")
    assert by_setting["Widths"] == ("[6, 16]", "[6, 16]", "")
    assert by_setting["Activation"] == ("ReLU", "ReLU", "")
    assert by_setting["Input size"] == ("32", "32", "")  # "auto" of LeNet-5
    assert by_setting["Data set"] == ("Digits (built in)", "MNIST", "changed")
    assert "Beta 1" not in by_setting  # a setting of Adam


def test_the_options_of_a_runs_network_are_listed_by_their_titles(bench: Bench) -> None:
    options = {"activation": "leaky_relu", "batch_norm": False}
    config = RunConfig(arch="lenet-bn", dataset="digits", arch_options=options)
    rows = {
        row["Setting"]: (row["Value"], row["Default"], row["Changed"]) for row in settings_table(bench.queue(config))
    }
    assert rows["Activation"] == ("leaky ReLU", "ReLU", "changed")
    assert rows["Batch norm"] == ("no", "yes", "changed")
    assert rows["Dropout"] == ("0.5", "0.5", "")
    unknown = settings_table(run(arch="of-another-release", arch_options={"depth": 3}))
    [depth] = [(row["Value"], row["Default"], row["Changed"]) for row in unknown if row["Setting"] == "depth"]
    assert depth == ("3", "–", "changed")


def test_the_device_is_named_once_it_is_known(bench: Bench) -> None:
    waiting = bench.queue()
    assert device_words(waiting) == "no device yet"
    run = bench.start()
    assert device_words(run) == "cpu (Test CPU)"
    bench.lab.store.leases.set_environment(run.id, run.lease, environment={"name": "CPU"}, device="cpu")
    assert device_words(bench.lab.store.runs.get(run.id)) == "cpu"


def test_the_epoch_that_the_results_belong_to_is_stated(bench: Bench) -> None:
    saved, unsaved = _ended(bench, accuracy=0.9), _ended(bench, accuracy=0.8, saved=False, seed=1)
    assert results_words(saved).startswith(
        "Accuracies and loss are those of epoch 3, the last one, as the run was not validated. Its weights are used on Inside"
    )
    assert results_words(unsaved).startswith("No weights are saved; these are the results of epoch 3")
    assert results_words(_ended(bench, saved=False, seed=2)) == ""


def test_cached_points_are_read_again_when_the_run_has_new_ones(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.arange(3.0)))
    first = run_points(bench.lab.store.runs.get(run.id))
    assert first["batch/loss"].value.tolist() == [0.0, 1.0, 2.0]
    assert run_points(bench.lab.store.runs.get(run.id)) is first
    bench.write(run, series("batch/loss", np.array([9.0]), first=4))
    assert run_points(bench.lab.store.runs.get(run.id))["batch/loss"].value.tolist() == [0.0, 1.0, 2.0, 9.0]


# -- the Train form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("32, 64, 128", [32, 64, 128]),
        ("32 64", [32, 64]),
        ("7", [7]),
        (" 8,,16 ", [8, 16]),
        ("", ""),
        ("32, x", "32, x"),
        ("1.5", "1.5"),
    ],
)
def test_a_list_of_widths_is_parsed_or_returned_unchanged_for_the_check_to_refuse(
    text: str, numbers: list[int] | str
) -> None:
    assert parse_numbers(text) == numbers


def test_every_list_option_survives_the_round_trip_through_its_widget() -> None:
    options = [option for option in get_architecture("lenet-bn").options if option.kind is list]
    assert options
    for option in options:
        assert parse_numbers(option_text(option, option.default)) == option.default


def test_the_step_of_a_number_input_is_the_settings_own_or_its_default_up_to_a_tenth() -> None:
    steps = {name: _step(FIELDS[name]) for name in ("lr", "momentum", "label_smoothing", "val_fraction", "gamma")}
    assert steps == {"lr": 1e-4, "momentum": 0.1, "label_smoothing": 0.01, "val_fraction": 0.1, "gamma": 0.1}


# -- the table of runs -------------------------------------------------------------------------------------------------


def _show_edits() -> None:
    import streamlit as st

    from pages.state.runs import table_key, typed_cells

    key = table_key(["aaaa", "bbbb"])
    st.text(key)
    st.text(repr(typed_cells(key)))


def test_each_edit_of_a_table_cell_is_reported_once() -> None:
    app = AppTest.from_function(_show_edits).run()
    key, edits = (text.value for text in app.text)
    assert edits == "{}"
    app.session_state[key] = {"edited_rows": {0: {"name": "one"}}}
    assert app.run().text[1].value == "{0: {'name': 'one'}}"
    assert app.run().text[1].value == "{0: {}}"
    app.session_state[key] = {"edited_rows": {0: {"name": "one", "note": "x"}, 1: {"pinned": True}}}
    assert app.run().text[1].value == "{0: {'note': 'x'}, 1: {'pinned': True}}"
    app.session_state[key] = {"edited_rows": {0: {"name": "two", "note": "x"}, 1: {"pinned": True}}}
    assert app.run().text[1].value == "{0: {'name': 'two'}, 1: {}}"


def _tick_another_run() -> None:
    import streamlit as st

    from pages.runs.table import choose
    from pages.state.runs import read_view
    from pages.state.session import take_flash

    choose("ffff", chosen=st.query_params.pop("off", "") != "1")
    st.text(f"{len(read_view()[0].runs)} {read_view()[0].runs[-1:]} {take_flash()}")


@pytest.mark.parametrize(
    ("runs", "off", "shown"),
    [
        (["aaaa"], "", "2 ('ffff',)"),
        (["ffff", "aaaa"], "", "2 ('ffff',)"),
        (["ffff", "aaaa"], "1", "1 ('aaaa',)"),
        ([f"{n:04x}" for n in range(MAX_RUNS - 1)], "", f"{MAX_RUNS} ('ffff',)"),
        (
            [f"{n:04x}" for n in range(MAX_RUNS)],
            "",
            "60 ('003b',) At most 60 runs can be compared at once. Remove one first.",
        ),
    ],
)
def test_ticking_a_run_adds_it_until_the_limit_of_a_comparison_is_reached(
    runs: list[str], off: str, shown: str
) -> None:
    app = AppTest.from_function(_tick_another_run)
    app.query_params["runs"] = ".".join(runs)
    app.query_params["off"] = off
    assert app.run().text[0].value == shown


def test_of_many_missing_chosen_runs_three_are_named_and_the_rest_counted(bench: Bench) -> None:
    present = bench.queue()
    missing = tuple(f"{n:012x}" for n in range(5))
    sentences = lost_runs(RunsView(runs=(*missing[:3], present.id)), [present])
    assert [sentence.partition(":")[0] for sentence in sentences] == [f"There is no run '{run}'" for run in missing[:3]]
    assert lost_runs(RunsView(runs=missing), [])[3:] == (
        "2 more of the chosen runs are not in this lab or were deleted.",
    )
    assert lost_runs(RunsView(runs=(present.id,)), [present]) == ()


def _two_models() -> None:
    import streamlit as st

    from pages.state.draw import DRAW

    labels = {"a": "LeNet-5 · 97.09 %", "b": "LeNet-5 · 98.10 %"}
    if not DRAW.read().runs:
        DRAW.change(runs=("a",))
    st.multiselect("Models", list(labels), format_func=labels.__getitem__, **DRAW.widget("runs", offered=tuple(labels)))


def test_an_outdated_label_from_the_browser_changes_no_choice() -> None:
    app = AppTest.from_function(_two_models).run()
    app.multiselect(key="draw.runs").set_value(["a", "LeNet-5 · 12.00 %"]).run()
    assert app.multiselect(key="draw.runs").value == ["a"]
    app.multiselect(key="draw.runs").set_value(["a", "b"]).run()
    assert app.multiselect(key="draw.runs").value == ["a", "b"]


@pytest.mark.parametrize(
    ("reported", "place"),
    [([1, 2], (1, 2)), ([0, 0], (0, 0)), ([2, 1], None), ([1, 3], None), ([-1, 0], None), (None, None)],
)
def test_a_click_on_a_value_is_its_row_and_column(reported: list[int] | None, place: tuple[int, int] | None) -> None:
    assert place_of(reported, (2, 3)) == place

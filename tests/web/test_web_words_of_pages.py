"""Small functions of the pages with known answers: cells of tables, words of cards, and what is offered first."""

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from lab.charts.reports import ReportRow, report_rows
from lab.comparison.runs import Comparison, compare_runs
from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import ConfigError
from lab.formatting import format_duration
from lab.presets import Reported, get_preset
from lab.runs.records import RunRecord, RunState
from lab.service.costs import Estimate
from lab.sharing.comparison import setting_words
from lab.spread import Spread
from lab.sweeps.records import Measured, TrialRecord, TrialState
from lab.sweeps.spec import read_spec
from pages.runs import reports, table, verdict
from pages.runs.actions import _settings
from pages.sweeps import create
from pages.sweeps import table as sweep_table
from pages.sweeps.view import _basis
from pages.train.cost import _words
from tests.charts.charts_data import run

# -- Runs, "Significance test" -----------------------------------------------------------------------------------------


def _seeds(lr: float, accuracies: tuple[float, ...], **changes: Any) -> tuple[RunRecord, ...]:
    made = [
        run(at, seed=at, lr=lr, summary={"test_accuracy": value, "final_epoch": 5}, **changes)
        for at, value in enumerate(accuracies)
    ]
    return tuple(replace(one, id=f"{lr} {one.config.seed}", fingerprint=f"{lr} {one.config.seed}") for one in made)


LOW, HIGH = (0.912, 0.915, 0.918, 0.909, 0.914), (0.931, 0.929, 0.934, 0.926, 0.930)
MIDDLE = (0.921, 0.917, 0.92, 0.924, 0.9155)


def test_settings_with_the_same_label_are_numbered() -> None:
    same = (run(1, name="mine", lr=0.1), run(2, name="mine", lr=0.1), run(3, name="mine", lr=0.2))
    assert verdict._labels(same) == ["mine, lr 0.1 (1)", "mine, lr 0.1 (2)", "mine, lr 0.2"]
    assert [one.id for one in verdict._settings((same[0], same[1], same[2], run(4, lr=0.1, seed=5)))] == [
        same[0].id,
        same[2].id,
    ]


def test_three_to_twelve_settings_on_one_data_set_are_compared_pairwise() -> None:
    groups = [_seeds(lr, values) for lr, values in ((0.1, LOW), (0.2, MIDDLE), (0.3, HIGH))]
    other = _seeds(0.4, LOW, dataset="mnist")
    assert verdict._each_with_each(groups[:2], like=groups[0]) == ()
    assert verdict._each_with_each([*groups[:2], other], like=groups[0]) == ()
    assert len(verdict._each_with_each([*groups, other], like=groups[0])) == 3
    many = [_seeds(0.001 * at, LOW[:1]) for at in range(1, 14)]
    assert len(verdict._each_with_each(many[:12], like=many[0])) == 66
    assert verdict._each_with_each(many, like=many[0]) == ()


def test_the_verdict_has_the_corrected_p_value_of_the_table_in_either_order() -> None:
    low, middle, high = groups = [_seeds(lr, values) for lr, values in ((0.1, LOW), (0.2, MIDDLE), (0.3, HIGH))]
    every = verdict._each_with_each(groups, like=low)
    for left, right, adjusted in ((low, middle, 8 / 252), (middle, low, 8 / 252), (high, low, 6 / 252)):
        found = verdict._corrected(left, right, every)
        assert found.verdict.adjusted == pytest.approx(adjusted)
        assert found.a.runs == left
        assert found.verdict.difference == compare_runs(left, right).verdict.difference
    assert verdict._corrected(low, middle, ()).verdict.adjusted is None


def _row(one: Comparison) -> list[str]:
    return [str(cell) for cell in verdict._row(one, "slow", "quick").values()]


def test_a_row_of_the_table_has_points_interval_and_the_corrected_p() -> None:
    low, high = _seeds(0.1, LOW), _seeds(0.3, HIGH)
    one = compare_runs(low, high)
    assert _row(one) == ["slow", "quick", "B is better", "1.64", "1.15 to 2.10", "0.0079", "5", "5"]
    corrected = replace(one, verdict=replace(one.verdict, adjusted=0.024))
    assert _row(corrected)[5] == "0.024"
    assert _row(compare_runs(high, low))[3:5] == ["-1.64", "-2.10 to -1.15"]
    few = compare_runs(low[:2], high[:1])
    assert _row(few) == ["slow", "quick", "not enough runs", "1.75", "None", "None", "2", "1"]


# -- Runs, the table ---------------------------------------------------------------------------------------------------


def test_an_order_is_named_by_its_setting_or_key_and_direction() -> None:
    assert table._order_words("-lr") == "learning rate, highest first"
    assert table._order_words("lr") == "learning rate, lowest first"
    assert table._order_words("-best_epoch") == "best epoch, highest first"
    assert table._order_words("-seconds") == "seconds, highest first"


def test_cells_are_formatted_and_values_that_a_table_cannot_show_are_empty() -> None:
    settings = {"lr": 0.001, "weight_decay": 1e-10, "epochs": 3, "shuffle": True, "optimizer": "adam", "train_limit": 0}
    assert [setting_words(*each) for each in settings.items()] == ["0.001", "1e-10", "3", "yes", "Adam", "all"]
    nothing = ("folds", "max_steps", "eval_every", "grad_clip", "patience", "eval_batch_size")
    assert [setting_words(name, 0) for name in nothing] == ["off", "none", "off", "off", "off", "auto"]
    assert [table._whole(value) for value in (12.5, 13.5, 7, math.inf, math.nan, None, "9")] == [12, 14, 7] + [None] * 4
    assert table._date(0.0) == pd.Timestamp("1970-01-01", tz="UTC")
    assert table._date(1e11) is pd.NaT
    assert table._date(table._LAST_DATE_S - 1) is not pd.NaT


def test_the_first_six_settings_that_differ_have_a_column_but_network_and_data_set_have_their_own() -> None:
    one = run(1)
    changes = {
        "arch": "lenet-bn",
        "dataset": "mnist",
        "seed": 3,
        "batch_size": 8,
        "lr": 0.5,
        "epochs": 9,
        "shuffle": False,
        "optimizer": "sgd",
        "val_fraction": 0.3,
        "device": "cpu",
    }
    found = table._differing([one, run(2, **changes)])
    assert len(found) == 6
    assert not {"arch", "dataset", "device"} & set(found)
    assert table._differing([one, run(2, lr=0.5, device="cpu")]) == ["lr"]


def test_the_first_chosen_run_of_each_setting_is_repeated_but_no_example() -> None:
    runs = (run(1, seed=1), run(2, seed=2), run(3, lr=0.5), replace(run(4, lr=0.7), id="example-overfit"))
    assert [one.number for one in _settings(runs)] == [1, 3]


# -- Runs, reports -----------------------------------------------------------------------------------------------------


class _Finder:
    """The one method of the store that the reports use."""

    def __init__(self, *runs: RunRecord) -> None:
        self._runs = runs

    def find_settings(self, configs: Any) -> dict[str, tuple[RunRecord, ...]]:
        return {
            setting_key(config): tuple(one for one in self._runs if setting_key(one.config) == setting_key(config))
            for config in configs
        }


def _report(report: str, preset: str, *runs: RunRecord) -> ReportRow:
    rows = report_rows(report, check=lambda config: config, runs=_Finder(*runs))
    return next(row for row in rows if row.preset.id == preset)


def test_measured_results_name_their_epoch_and_link_to_their_runs() -> None:
    row = _report("D", "d-lenet-bn")
    assert (reports._measured(row), reports._runs_link(row)) == ("–", None)
    waiting = row._replace(waiting=(run(1),))
    assert reports._measured(waiting) == "waiting"
    ends = tuple(run(n, summary={"test_accuracy": 0.98, "final_epoch": epoch}) for n, epoch in ((1, 5), (2, 7)))
    ended = row._replace(finished=ends, waiting=(run(3),), test_accuracy=Spread(2, 0.98, 0.01))
    assert reports._measured(ended) == "98.00 % (n = 2), epoch 5–7"
    assert reports._measured(ended._replace(finished=ends[:1])) == "98.00 % (n = 2), epoch 5"
    assert reports._runs_link(ended) == f"runs?runs={run(1).id}.{run(2).id}.{run(3).id}"


def test_measured_results_have_the_quantities_and_digits_of_their_report() -> None:
    row = _report("D", "d-lenet-bn")
    ended = row._replace(
        finished=(run(1, summary={"test_accuracy": 0.98, "final_epoch": 5}),),
        test_accuracy=Spread(3, 0.98, 0.001),
        last_loss=Spread(3, 0.12345, 0.01),
        stopped_epoch=Spread(3, 11.6, 1.2),
        seconds=None,
    )
    for facts, text in (
        (Reported(last_loss=0.1), "98.00 ± 0.10 % (n = 3), epoch 5, loss 0.123 ± 0.010 (n = 3)"),
        (Reported(stopped_epoch=12), "98.00 ± 0.10 % (n = 3), stopped in epoch 12 ± 1 (n = 3)"),
    ):
        assert reports._measured(ended._replace(preset=replace(row.preset, reported=facts))) == text


def test_a_quoted_epoch_is_named_if_it_is_not_the_last_one() -> None:
    best = _report("B", "b-wide-cnn")
    every = best.preset.reported.test_accuracy_by_epoch
    assert best.quoted_epoch != len(every)
    assert f"(epoch {best.quoted_epoch}), last {100 * every[-1]:.2f} %" in reports._quoted(best)
    last = replace(
        best.preset,
        reported=replace(best.preset.reported, test_accuracy_by_epoch=(0.5, best.preset.reported.test_accuracy)),
    )
    assert reports._quoted(best._replace(preset=last)) == f"{100 * best.preset.reported.test_accuracy:.2f} %"
    assert "epoch" not in reports._quoted(_report("D", "d-lenet-bn"))


def test_the_time_of_experiments_is_their_sum_and_those_without_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(config: RunConfig) -> float:
        if config.arch == "alexnet":
            raise ConfigError("it cannot be counted")
        return 10.0

    monkeypatch.setattr(reports, "estimate_seconds", seconds)
    rows = [_report("D", "d-lenet-bn"), _report("D", "d-alexnet"), _report("D", "d-vgg11")]
    done: list[int] = []
    assert reports._seconds(rows, done.append) == (20.0, [get_preset("d-alexnet").title])
    assert done == [1, 2, 3]


# -- Sweeps ------------------------------------------------------------------------------------------------------------


def test_the_row_of_a_trial_has_its_last_evaluation_and_a_link_to_its_run() -> None:
    trial = TrialRecord(
        number=3,
        run="ab12",
        params={"lr": 0.0123456, "shuffle": False},
        values=(Measured(1, 0.5, 0.5), Measured(4, 0.25, 0.9731)),
        state=TrialState.PAUSED,
        decision="why",
        seconds=2.5,
    )
    assert sweep_table._row(trial, ["lr", "shuffle", "momentum"]) == {
        "trial": 3,
        "state": ["paused"],
        "lr": 0.01235,
        "shuffle": "no",
        "momentum": None,
        "epoch": 4,
        "loss": 0.25,
        "accuracy": 97.31,
        "decision": "why",
        "seconds": 2.5,
        "open": "train?run=ab12",
    }
    bare = sweep_table._row(TrialRecord(number=1, run="", problem="damaged", decision="new"), [])
    assert [bare[name] for name in ("epoch", "loss", "accuracy", "seconds", "open")] == [None] * 5
    assert bare["decision"] == "damaged"


def test_a_sweep_shows_what_it_is_based_on() -> None:
    spec = {
        "base": {"arch": "lenet5", "dataset": "digits", "epochs": 4},
        "space": {"lr": {"values": [0.1]}},
        "trials": 1,
    }
    assert _basis(read_spec(spec)) == "LeNet-5 on Digits (built in), 4 epochs"
    halving = read_spec({**spec, "halving": {"factor": 2, "first_epochs": 1}})
    assert _basis(halving) == "LeNet-5 on Digits (built in), 4 epochs, evaluated after epochs 1, 2, 4"


def test_entered_numbers_are_parsed_and_other_text_is_left_for_the_check_to_refuse() -> None:
    assert [create._number(text, int) for text in (" 16", "1.5", "many ")] == [16, "1.5", "many"]
    assert [create._number(text, float) for text in ("1e-3", " 2")] == [0.001, 2.0]
    assert create._as_text((0.001, 1e-4, 16, "adam")) == "0.001, 0.0001, 16, adam"
    assert [create._step(low) for low in (1e-4, -0.5, 0.0, None)] == [1e-4, 0.5, 0.01, 0.01]


# -- Train -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "3 epochs on cpu, with start-up and evaluations: 31 s to 1 min 12 s, estimated from the mult-adds. Images are 32×32.",
        ),
        ({"measured": True}, "as measured in an earlier run. Images are 32×32."),
        ({"limit_s": 5.0}, "Up to the step limit on cpu, with start-up and evaluations: "),
        ({"epochs": 1}, "1 epoch on cpu, "),
    ],
)
def test_a_cost_is_described_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    usual = Estimate(
        params=1,
        mult_adds=1,
        memory_bytes=1,
        seconds_per_epoch=10.0,
        limit_s=math.inf,
        measured=False,
        device="cpu",
        side=32,
        epochs=3,
        slowdown=2.0,
    )
    assert words in _words(replace(usual, **changes))


def test_stopped_finished_and_failed_are_the_states_that_end_a_run() -> None:
    assert [state for state in RunState if state.over] == [RunState.STOPPED, RunState.FINISHED, RunState.FAILED]


@pytest.mark.parametrize(
    ("name", "value", "cell"),
    [
        ("lr", None, "None"),
        ("lr", 0.00123456, "0.001235"),
        ("lr", 123456.0, "1.235e+05"),
        ("batch_size", 12, "12"),
        ("nesterov", True, "yes"),
        ("optimizer", "adam", "Adam"),
        ("arch_options", {"widths": [4, 8], "dropout": 0.25}, "dropout=0.25, widths=[4, 8]"),
    ],
)
def test_the_setting_of_a_trial_has_four_significant_digits_and_the_labels_of_the_form(
    name: str, value: Any, cell: str
) -> None:
    assert str(sweep_table._cell(name, value)) == cell


def test_the_times_of_an_experiment_are_the_reports_and_the_measured_one() -> None:
    row = _report("D", "d-lenet-bn")
    assert row.preset.reported.seconds != 83.0
    cells = reports._cells(row._replace(finished=(run(1),), seconds=Spread(2, 83.0, 1.0)))
    assert str(cells["Reported"]).endswith(f"%, {format_duration(row.preset.reported.seconds)}")
    assert str(cells["Measured"]).endswith(f", {format_duration(83.0)}")
    assert str(reports._cells(row)["Measured"]) == "–"

"""The table of epochs: rows by step, the place in epochs, and the same numbers in `show`, the export and the page."""

import csv
import io

import numpy as np
import pytest

from lab.metrics import METRICS
from lab.runs.records import RunRecord, Series
from lab.service.lab import Lab
from lab.sharing.epochs import EpochRow, epoch_rows, format_epoch, recorded_metrics
from lab.sharing.formats import export_runs
from pages.train.epochs import epoch_frame


def series(name: str, *steps: int) -> Series:
    at = np.array(steps)
    return Series(name, at, at / 1000, at * 0.125)


def test_epochs_are_listed_in_step_order_whichever_metrics_each_has() -> None:
    points = {s.name: s for s in (series("test/loss", 4_096), series("val/loss", 0, 8, 1_001), series("lr", 8, 500))}
    assert epoch_rows(points) == (
        EpochRow(0, 0.0, {"val/loss": 0.0}),
        EpochRow(8, 1.0, {"val/loss": 0.008, "lr": 0.008}),
        EpochRow(1_001, 125.125, {"val/loss": 1.001}),
        EpochRow(4_096, 512.0, {"test/loss": 4.096}),
    )


def test_the_time_of_a_row_is_that_of_its_last_value() -> None:
    early = series("train/loss", 10)
    late = Series("val/loss", np.array([10]), np.array([0.5]), np.array([1.75]))
    (row,) = epoch_rows({"train/loss": early, "val/loss": late})
    assert row.time_s == 1.75


def test_metrics_of_every_batch_make_no_rows() -> None:
    assert epoch_rows({"batch/loss": series("batch/loss", 1, 2, 3)}) == ()


@pytest.mark.parametrize(
    ("step", "steps", "text"), [(0, 8, "0"), (16, 8, "2"), (12, 8, "1.50"), (7, None, ""), (1, 3, "0.33")]
)
def test_a_place_in_epochs_is_a_whole_number_where_an_epoch_ends(step: int, steps: int | None, text: str) -> None:
    assert format_epoch(EpochRow(step, 0.0, {}).epoch(steps)) == text


def test_metrics_keep_their_usual_order_and_those_without_values_are_left_out() -> None:
    rows = epoch_rows({s.name: s for s in (series("test/loss", 8), series("train/accuracy", 8))})
    assert [metric.id for metric in recorded_metrics(rows)] == ["train/accuracy", "test/loss"]


def test_the_page_shows_shares_in_per_cent_and_dashes_for_what_was_not_measured() -> None:
    rows = (EpochRow(0, 0.0, {"val/accuracy": 0.125}), EpochRow(8, 1.5, {"val/accuracy": 0.5, "val/loss": np.inf}))
    frame = epoch_frame(rows, (METRICS["val/accuracy"], METRICS["val/loss"]), 8)
    assert frame["Epoch"].tolist() == [0, 1]  # numbers, which a click on the heading sorts
    assert epoch_frame(rows, (), 3)["Epoch"].tolist() == [0, 2.67]
    assert frame["val/accuracy"].tolist() == [12.5, 50.0]
    assert frame["val/loss"].isna().tolist() == [True, False]
    assert frame["time_s"].tolist() == [0.0, 1.5]


def test_the_export_has_one_row_an_evaluation_with_the_stored_values(lab: Lab, run: RunRecord) -> None:
    content = export_runs(lab, [run], format="epochs")[""].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    points = lab.store.points.read(run.id)
    assert [float(row["epoch"]) for row in rows] == [0, 1, 2]
    assert {row["run"] for row in rows} == {run.id}
    assert [float(row["test/accuracy"]) for row in rows] == points["test/accuracy"].value.tolist()
    assert [row["train/loss"] == "" for row in rows] == [True, False, False]  # nothing is trained before epoch 1
    assert [float(row["train/loss"]) for row in rows[1:]] == points["train/loss"].value.tolist()
    assert float(rows[-1]["time_s"]) == max(points[name].time_s[-1] for name in ("val/loss", "test/loss", "lr"))

"""Metrics and tables as text: every bit of a number survives, and no text becomes a formula or markup."""

import csv
import io
import json
import math
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.runs.records import RunRecord, RunState, Series
from lab.service.lab import Lab
from lab.sharing.comparison import Table, comparison_table, differing_settings, setting_words, settings_table
from lab.sharing.formats import export_runs
from lab.sharing.tables import (
    csv_cell,
    latex_text,
    markdown_text,
    metrics_csv,
    metrics_json,
    number_columns,
    shown,
    write_latex,
    write_markdown,
)
from tests.charts.charts_data import run

ODD = (0.0, -0.0, 5e-324, 1e308, -1e308, math.nan, math.inf, -math.inf, 0.1, 1 / 3)
PAYLOADS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\0=1",
    '=HYPERLINK("http://x")',
    "=cmd|' /C calc'!A0",
    " =1+1",
    "＝1",
    "-2+3+cmd|' /C calc'!A0",
)


def odd_points() -> dict[str, Series]:
    count = len(ODD)
    return {"batch/loss": Series("batch/loss", np.arange(count), np.array(ODD), np.linspace(0, 1, count))}


def bits(value: float) -> bytes:
    return struct.pack("<d", math.nan if math.isnan(value) else value)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_that_starts_like_a_formula_is_neutralised(payload: str) -> None:
    read = next(csv.reader(io.StringIO(csv_cell(payload))))[0]
    assert read.startswith("'")
    assert read[1:] == payload.replace("\0", "")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=40))
def test_text_survives_a_csv_cell_except_for_an_added_apostrophe(text: str) -> None:
    read = next(csv.reader(io.StringIO(csv_cell(text) + "\r\n"), strict=True))[0]
    assert read in (text, f"'{text}")
    assert not read.lstrip(" ").startswith(("=", "+", "-", "@", "\t"))


@given(st.floats())
def test_a_number_in_csv_keeps_all_its_bits_and_is_never_escaped(value: float) -> None:
    cell = csv_cell(value)
    assert not cell.startswith(("'", '"'))
    assert bits(float(cell)) == bits(value)


def test_metrics_in_csv_hold_every_point_bit_for_bit(run: RunRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv([(run, odd_points())]), newline="")))
    assert [bits(float(row["value"])) for row in rows] == [bits(v) for v in ODD]
    assert {row["run"] for row in rows} == {run.id}


def test_metrics_in_json_are_strict_and_hold_every_point_bit_for_bit(run: RunRecord) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    document = json.loads(metrics_json([(run, odd_points())]), parse_constant=refuse)
    curve, points = document["runs"][0]["series"]["batch/loss"], odd_points()["batch/loss"]
    assert [bits(float(v)) for v in curve["value"]] == [bits(v) for v in ODD]
    assert (curve["step"], curve["time_s"]) == (points.step.tolist(), points.time_s.tolist())
    assert curve["step"] != curve["time_s"]
    assert document["runs"][0]["config"] == run.config.as_dict()


def test_several_runs_share_one_file_of_metrics(lab: Lab, pair: tuple[RunRecord, RunRecord]) -> None:
    data = export_runs(lab, pair, format="csv")[""].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    expected = sum(len(series.step) for run in pair for series in lab.store.points.read(run.id).values())
    assert len(rows) == expected
    assert {row["name"] for row in rows} == {"first", "'=1+1 <b>second</b>"}


def test_only_the_settings_that_differ_are_listed(pair: tuple[RunRecord, RunRecord]) -> None:
    assert differing_settings(pair) == {"lr": [0.001, 0.01]}
    assert differing_settings(pair[:1]) == {}
    assert "lr" in comparison_table(pair).columns


@pytest.mark.parametrize("table", [comparison_table, settings_table])
def test_a_value_with_a_special_meaning_is_shown_as_its_word_in_every_table(
    table: Callable[[Sequence[RunRecord]], Table],
) -> None:
    made = table([run(1), run(2, train_limit=300, label_smoothing=0.1)])
    assert [row[made.columns.index("train_limit")] for row in made.rows] == ["all", 300]
    assert [row[made.columns.index("label_smoothing")] for row in made.rows] == [0.0, 0.1]
    assert [setting_words(*pair) for pair in (("train_limit", 0), ("lr", 100.0), ("optimizer", "sgd"))] == [
        "all",
        "100",
        "SGD",
    ]


def test_markdown_shows_text_as_it_is(pair: tuple[RunRecord, RunRecord]) -> None:
    lines = write_markdown(comparison_table(pair)).splitlines()
    assert len(lines) == 4
    assert r"=1+1 \<b\>second\</b\>" in lines[3]
    widths = {line.replace(r"\|", "").count("|") for line in lines}
    assert len(widths) == 1
    assert markdown_text("a|b\nc [x](javascript:1) www.x.de") == r"a\|b c \[x\](javascript\:1) www\.x.de"


def test_latex_shows_text_as_it_is(pair: tuple[RunRecord, RunRecord]) -> None:
    text = write_latex(comparison_table(pair))
    assert r"=1+1 \textless{}b\textgreater{}second\textless{}/b\textgreater{}" in text
    assert text.count(r"\\") == 3
    assert latex_text(r"50% of $x_1 & \input{y}^2~#") == (
        r"50\% of \$x\_1 \& \textbackslash{}input\{y\}\textasciicircum{}2\textasciitilde{}\#"
    )
    assert latex_text('"--lr" 1---2') == r"\char34{}-{}-lr\char34{} 1-{}-{}-2"


def test_columns_of_ids_and_epochs_that_begin_with_a_digit_are_not_numeric() -> None:
    columns = ("name", "run", "epoch of the results", "lr", "val_loss")
    rows = (("a", "3fd6", "2 of 2 (best)", 0.1, None), ("b", "c0e5", "1 of 2", 0.2, 0.5))
    assert number_columns(Table(columns, rows)) == [False, False, False, True, True]


def test_a_table_of_settings_has_mean_spread_and_number_of_seeds() -> None:
    accuracies = {0.001: (0.9831, 0.9843, 0.9852), 0.01: (0.97, 0.98), 0.1: (0.5,)}
    runs = [
        run(seed, seed=seed, lr=lr, seconds=10.0 + seed, summary={"test_accuracy": value, "final_epoch": 5})
        for lr, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    live = run(9, seed=9, lr=0.1, state=RunState.RUNNING, summary={"test_accuracy": 0.1, "final_epoch": 1})
    table = settings_table([*runs, live])
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["test accuracy"] for row in rows] == ["98.42 ± 0.11 % (n = 3)", "97.50 % (n = 2)", "50.00 % (n = 1)"]
    assert [(row["lr"], row["runs"], row["seconds"]) for row in rows] == [
        (0.001, 3, "11.0 ± 1.0 (n = 3)"),
        (0.01, 2, "10.5 (n = 2)"),
        (0.1, 2, "10.0 (n = 1)"),
    ]
    assert "seed" not in table.columns
    assert r"98.42 $\pm$ 0.11 \% (n = 3)" in write_latex(table)
    assert "98.42 ± 0.11 % (n = 3)" in write_markdown(table)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (12_345, "12,345"),
        (1000.4, "1,000"),
        (-1234.5, "-1,234"),
        (999.94, "999.94"),
        (0.123456, "0.12346"),
    ],
)
def test_numbers_in_cells_are_rounded_and_grouped(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_a_column_is_right_aligned_only_if_all_its_values_are_numbers() -> None:
    table = Table(("text", "numbers", "both", "empty"), (("a", 1, "b", None), ("c", None, 2.5, None)))
    assert write_markdown(table).splitlines()[1] == "| --- | ---: | --- | --- |"
    assert "{lrll}" in write_latex(table)


def test_the_columns_of_metrics_match_their_headings() -> None:
    one = Series("batch/loss", np.array([7]), np.array([0.25]), np.array([99.5]))
    (row,) = csv.DictReader(io.StringIO(metrics_csv([(run(1, name="n"), {"batch/loss": one})])))
    assert (row["step"], row["value"], row["time_s"], row["series"]) == ("7", "0.25", "99.5", "batch/loss")


@pytest.mark.parametrize("table", [comparison_table, settings_table])
def test_a_result_that_no_run_has_has_no_column(table: Callable[[Sequence[RunRecord]], Table]) -> None:
    tested = {"test_accuracy": 0.9, "final_epoch": 5}
    runs = [run(1, summary=tested), run(2, lr=0.1, summary=tested)]
    assert "test accuracy" in table(runs).columns
    assert "validation accuracy" not in table(runs).columns
    validated = run(3, lr=0.2, summary={**tested, "val_accuracy": 0.8})
    assert "validation accuracy" in table([*runs, validated]).columns


def test_tables_name_networks_data_sets_and_settings_as_pages_do(lab: Lab) -> None:
    leaky = run(3, optimizer="sgd", arch_options={"activation": "leaky_relu"})
    runs = [run(1), run(2, train_limit=300, arch="of-another-release"), leaky]
    markdown = export_runs(lab, runs, format="markdown")[""].decode()
    latex = export_runs(lab, runs, format="latex-settings")[""].decode()
    for text in (markdown, latex):
        assert "training images" in text
        assert "LeNet-5" in text
        assert "Digits (built in)" in text
        assert "of-another-release" in text
        assert "SGD" in text
        assert "leaky ReLU" in text

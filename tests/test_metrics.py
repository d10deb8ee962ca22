"""The registry of metrics: what it contains, what it refuses, and that no other code names a metric."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InputError, UnknownNameError
from lab.metric_charts import list_charts
from lab.metrics import (
    ACCURACY,
    LOSS,
    METRICS,
    Cadence,
    Measurement,
    MetricSpec,
    Split,
    compute_metrics,
    format_metric,
    get_metric,
    is_share,
    is_unbounded,
    list_epoch_metrics,
    list_metrics,
    list_results,
    metric_title,
    register_metric,
    result_keys,
    unregister_metric,
)

ROOT = Path(__file__).resolve().parent.parent


def test_the_registry_refuses_a_duplicate_id_and_a_metric_without_help() -> None:
    with pytest.raises(InputError, match="There is already a metric 'val/loss': choose another id"):
        register_metric(MetricSpec("val/loss", ACCURACY, "Again."))
    with pytest.raises(InputError, match="'val/f1' has no help: say in one sentence"):
        register_metric(MetricSpec("val/f1", ACCURACY, ""))
    with pytest.raises(UnknownNameError, match="Did you mean 'val/loss'"):
        get_metric("val/los")


def test_the_metrics_of_a_split_are_computed_from_a_measurement() -> None:
    measured = Measurement(0.5, 0.75, 4, learning_rate=0.1, gradient_norm=2.0, images_per_second=1000.0, memory_mb=3.0)
    assert compute_metrics(Split.TRAIN, measured) == {
        "train/loss": 0.5,
        "train/accuracy": 0.75,
        "lr": 0.1,
        "grad_norm": 2.0,
        "images_per_second": 1000.0,
        "memory_mb": 3.0,
    }
    assert compute_metrics(Split.VAL, measured) == {"val/loss": 0.5, "val/accuracy": 0.75}
    assert result_keys({"val/loss": 0.5, "lr": 0.1}) == {"val_loss": 0.5}


def test_the_kind_of_a_metric_of_another_release_is_derived_from_the_end_of_its_name() -> None:
    assert [is_share(name) for name in ("val/accuracy", "test_accuracy", "ema/accuracy", "val/loss", "lr")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert is_unbounded("test_loss")
    assert not is_unbounded("seconds")
    assert (format_metric("ema/accuracy", 0.5), format_metric("val/loss", 0.123456)) == ("50.00 %", "0.1235")


def test_lists_of_metrics_have_the_order_of_files_and_tables() -> None:
    assert [metric.id for metric in list_epoch_metrics()] == [
        *("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy"),
        *("lr", "grad_norm", "images_per_second", "memory_mb"),
    ]
    assert [metric.result_key for metric in list_results()] == [
        "val_loss",
        "val_accuracy",
        "test_loss",
        "test_accuracy",
    ]
    assert list(list_charts()) == [
        *("loss", "accuracy", "epoch-loss", "epoch-accuracy", "lr", "grad-norm", "speed", "memory"),
    ]


def test_every_metric_has_its_title_its_chart_its_result_key_and_its_short_name() -> None:
    assert [(one.title, one.chart_id, one.result_key, one.short) for one in METRICS.values()] == [
        ("batch loss", "loss", "batch_loss", "batch/loss"),
        ("batch accuracy", "accuracy", "batch_accuracy", "batch/acc"),
        ("training loss", "epoch-loss", "train_loss", "train/loss"),
        ("training accuracy", "epoch-accuracy", "train_accuracy", "train/acc"),
        ("validation loss", "loss", "val_loss", "val/loss"),
        ("validation accuracy", "accuracy", "val_accuracy", "val/acc"),
        ("test loss", "loss", "test_loss", "test/loss"),
        ("test accuracy", "accuracy", "test_accuracy", "test/acc"),
        ("learning rate", "lr", "lr", "lr"),
        ("gradient norm", "grad-norm", "grad_norm", "grad_norm"),
        ("images per second", "speed", "images_per_second", "images_per_second"),
        ("memory (MB)", "memory", "memory_mb", "memory_mb"),
    ]
    assert [metric_title(name) for name in ("val/loss", "ema/loss", "")] == ["validation loss", "ema/loss", ""]
    assert [split.label for split in Split] == ["training", "validation", "test", ""]


@pytest.mark.parametrize(
    ("name", "share", "unbounded"),
    [
        ("val/loss", False, True),
        ("ema_loss", False, True),
        ("grad_norm", False, True),
        ("total/grad-norm", False, True),
        ("test_accuracy", True, False),
        ("ema/accuracy", True, False),
        ("lr", False, False),
        ("memory", False, False),
        ("accuracy_of_loss", False, True),
    ],
)
def test_whether_values_are_shares_or_unbounded_depends_on_the_quantity(
    name: str, share: bool, unbounded: bool
) -> None:
    assert (is_share(name), is_unbounded(name)) == (share, unbounded)


def test_shares_are_written_as_percentages_with_two_decimals_by_default() -> None:
    assert (format_metric("val/accuracy", 0.98765), format_metric("val/accuracy", 0.98765, digits=1)) == (
        "98.77 %",
        "98.8 %",
    )
    assert (ACCURACY.format(0.98765), ACCURACY.format(0.98765, digits=0)) == ("98.77 %", "99 %")
    assert (LOSS.format(0.98765), format_metric("lr", 0.000123456, digits=1)) == ("0.9877", "0.0001235")


def test_a_registered_metric_is_in_the_lists_until_it_is_unregistered() -> None:
    registered = register_metric(
        MetricSpec("ema/loss", LOSS, "A mean.", Split.VAL, Cadence.EVALUATION, compute=lambda m: 2 * m.loss)
    )
    try:
        assert get_metric("ema/loss") is registered
        assert list_results()[-1] is registered
        assert registered in list_metrics(splits=[Split.VAL], cadence=Cadence.EVALUATION)
        assert registered not in list_metrics(cadence=Cadence.BATCH)
        assert registered not in list_metrics(splits=[Split.TEST])
        assert compute_metrics(Split.VAL, Measurement(0.5, 0.75, 4))["ema/loss"] == 1.0
    finally:
        unregister_metric("ema/loss")
    assert "ema/loss" not in METRICS
    with pytest.raises(UnknownNameError, match="There is no metric 'ema/loss'"):
        unregister_metric("ema/loss")


# -- one place ---------------------------------------------------------------------------------------------------------

# A migration is frozen with the schema of its release; the template of exported scripts writes what train.py prints.
_FROZEN = re.compile(r"lab/(metrics\.py|runs/headline_columns\.py|runs/migrations/.*|sharing/script/.*)")
_UNMISTAKABLE = tuple(id for id in METRICS if "/" in id)


def _literals(path: Path) -> Iterator[str]:
    """Yield every place in a Python file that names a metric, except docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _is_text(node.body)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from (f"{path.name}:{node.lineno} {name}" for name in _UNMISTAKABLE if name in node.value)
        if isinstance(node, ast.JoinedStr) and re.search(r"\}/(loss|accuracy)", ast.unparse(node)):
            yield f"{path.name}:{node.lineno} {ast.unparse(node)}"


def _is_text(body: list[Any]) -> bool:
    return bool(body) and isinstance(body[0], ast.Expr)


def test_no_code_outside_the_registry_names_a_metric() -> None:
    found = []
    for path in sorted([*(ROOT / "lab").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]):
        if not _FROZEN.fullmatch(path.relative_to(ROOT).as_posix()):
            found += _literals(path)
    for path in sorted((ROOT / "pages").rglob("*.js")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name} {name}" for name in (*_UNMISTAKABLE, "grad_norm") if name in text]
    assert found == []

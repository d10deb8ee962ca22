"""A new metric is one record with the function that computes it: it is then recorded, plotted, printed and exported."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.charts.live import live_list, live_payload
from lab.charts.overlay import OverlayOptions, RunCurves, overlay_info
from lab.cli.app import main
from lab.metric_charts import list_charts
from lab.metrics import (
    Better,
    Cadence,
    Measurement,
    MetricSpec,
    Quantity,
    Split,
    Unit,
    register_metric,
    unregister_metric,
)
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.bundle.read import import_bundle
from lab.sharing.formats import export_runs
from tests.reference_docs import render
from tests.sharing.sharing_runs import open_lab, train_run


def _top3(measured: Measurement) -> float:
    """Return the share of images whose class is among the three most probable ones."""
    assert measured.logits is not None
    assert measured.labels is not None
    best = np.argsort(-measured.logits, axis=1)[:, :3]
    return float((best == measured.labels[:, None]).any(axis=1).mean())


TOP3 = MetricSpec(
    "test/top3_accuracy",
    Quantity("top3_accuracy", "top-3 accuracy", Unit.SHARE, Better.UP, hover=".2%"),
    "Share of the test images whose class is among the three most probable.",
    Split.TEST,
    Cadence.EVALUATION,
    compute=_top3,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, RunRecord]]:
    """Return a lab and a run trained while one more metric was registered."""
    register_metric(TOP3)
    lab = open_lab(tmp_path_factory.mktemp("lab"))
    yield lab, train_run(lab, name="first", epochs=1)
    unregister_metric(TOP3.id)


@pytest.fixture
def curves(trained: tuple[Lab, RunRecord]) -> RunCurves:
    lab, run = trained
    return RunCurves(run, lab.store.points.read(run.id))


def test_a_new_metric_is_computed_at_every_evaluation(curves: RunCurves) -> None:
    measured = curves.points[TOP3.id]
    assert measured.step.tolist() == curves.points["test/accuracy"].step.tolist()
    assert (measured.value >= curves.points["test/accuracy"].value).all()
    assert curves.run.summary.value(TOP3.result_key) == measured.value[-1]


def test_a_new_metric_has_a_chart_on_the_runs_page_and_in_the_live_view(curves: RunCurves) -> None:
    chart = list_charts()["top3_accuracy"]
    assert (chart.title, chart.metrics) == ("Top-3 accuracy", (TOP3,))
    (line,) = overlay_info([curves], OverlayOptions(metric=chart.id)).lines
    assert line.y.tolist() == curves.points[TOP3.id].value.tolist()
    (listed,) = [one for one in live_list() if one["id"] == chart.id]
    assert [point["id"] for point in listed["points"]] == [TOP3.id]
    payload = live_payload(curves.points, since="", lease=1, complete=True)
    assert payload["series"][TOP3.id]["step"] == curves.points[TOP3.id].step.tolist()
    assert payload["newest"][TOP3.id][1].endswith(" %")


def test_a_new_metric_is_in_the_output_of_the_cli(
    trained: tuple[Lab, RunRecord], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab, run = trained
    monkeypatch.setenv("LAB_HOME", str(lab.settings.home))
    value = lab.store.points.read(run.id)[TOP3.id].value[-1]

    def run_cli(*words: str) -> str:
        main(list(words))
        return capsys.readouterr().out

    assert json.loads(run_cli("show", run.id, "--json"))["metrics"][-1][TOP3.id] == value
    assert "test/top3_acc" in run_cli("show", run.id)
    assert json.loads(run_cli("compare", run.id, "--json"))["results"][TOP3.result_key] == [value]


@pytest.mark.parametrize("format", ["csv", "json", "tensorboard", "html", "markdown"])
def test_a_new_metric_is_in_every_export(trained: tuple[Lab, RunRecord], format: str) -> None:
    lab, run = trained
    names = (TOP3.id, TOP3.title)
    content = b"".join(export_runs(lab, [run], format=format).values())
    assert any(name.encode() in content for name in names)


def test_a_new_metric_is_exported_and_imported_with_a_bundle(trained: tuple[Lab, RunRecord], tmp_path: Path) -> None:
    lab, run = trained
    other = open_lab(tmp_path)
    (imported,) = import_bundle(other, io.BytesIO(export_runs(lab, [run], format="bundle")[""]))
    assert (
        other.store.points.read(imported.id)[TOP3.id].value.tolist()
        == lab.store.points.read(run.id)[TOP3.id].value.tolist()
    )


@pytest.mark.usefixtures("trained")
def test_a_new_metric_is_in_the_reference() -> None:
    assert f"| `{TOP3.id}` | test top-3 accuracy | every evaluation | share | up | {TOP3.help} |" in render()

"""One run whose last epoch is not its best: every place that shows an accuracy shows that of the selected weights."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from lab.cli.app import main
from lab.config import RunConfig
from lab.findings import DIVERGED, Finding
from lab.formatting import format_percent
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from lab.sharing.comparison import comparison_table, last_result_of, result_of
from lab.sharing.report.page import write_report
from lab.sharing.tables import metrics_json, write_latex, write_markdown
from lab.sharing.weights import facts, model_card
from pages.draw.models import load_models
from pages.draw.runs import label
from pages.draw.studio import subtitle
from tests.golden.page_text import shown_table
from tests.web.addresses import open_page
from tests.web.test_web_inside import component, open_inside, texts, train
from tests.web.web_data import use_home

EPOCHS = 6
CONFIG = RunConfig(dataset="digits", epochs=EPOCHS, batch_size=16, train_limit=300, lr=0.02, device="cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headline") / "home"


@pytest.fixture(scope="module")
def lab(home: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(home)}))


@pytest.fixture(scope="module")
def run(lab: Lab) -> RunRecord:
    """Return a run whose best epoch is not its last, with different test accuracies in both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in range(20):
            found = train(lab, CONFIG.replace(seed=seed))
            best, last = found.headline, found.last_result
            if best.epoch != last.epoch and best.test_accuracy != last.test_accuracy:
                return found
    finally:
        torch.set_num_threads(threads)
    raise AssertionError("in all twenty runs the last epoch was the best")


@pytest.fixture
def env_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(monkeypatch, home)


def words(run: RunRecord) -> str:
    return f"{format_percent(run.headline.test_accuracy)} test, epoch {run.headline.epoch} of {EPOCHS} (best)"


def last_words(run: RunRecord) -> str:
    return f"{format_percent(run.last_result.test_accuracy)} test, epoch {EPOCHS} of {EPOCHS} (last)"


def test_the_summary_the_store_and_the_loaded_network_agree_on_the_best_epoch(lab: Lab, run: RunRecord) -> None:
    loaded = lab.weights.load(run.id)
    assert run.summary.best_epoch == run.headline.epoch == loaded.epoch == lab.weights.find(run.id).epoch
    assert loaded.result == run.headline == lab.store.results.headline(run.id)
    assert run.summary.final_epoch == EPOCHS == run.last_result.epoch
    assert lab.weights.load(run.id, epoch="latest").result != run.headline


def test_the_headline_is_the_accuracy_of_the_selected_weights_on_the_test_set(
    env_home: None, run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["evaluate", run.id, "--json"])
    evaluation = json.loads(capsys.readouterr().out)
    assert evaluation["epoch"] == run.headline.epoch
    assert evaluation["which"] == "best"
    assert evaluation["accuracy"] == pytest.approx(run.headline.test_accuracy)


def test_every_page_shows_the_headline_with_its_epoch(env_home: None, run: RunRecord) -> None:
    assert words(run) in texts(open_page("home"))
    trained = open_page("train", run=run.id)
    shown = dict(component(trained, "facts")["facts"])
    assert shown["Test accuracy"] == format_percent(run.headline.test_accuracy)
    assert shown["Best epoch"] == f"{run.headline.epoch} of {EPOCHS}"
    assert f"The run ended at {last_words(run)}." in texts(trained)
    inside = open_inside(run=run.id)
    assert words(run) in " ".join(inside.selectbox[0].options)
    slider = component(inside, "epochs")
    assert slider["names"][slider["index"]] == f"Epoch {run.headline.epoch} of {EPOCHS} (best)"
    assert slider["test_texts"][slider["index"]] == format_percent(run.headline.test_accuracy)


def test_the_table_of_runs_the_pareto_front_and_the_comparison_show_the_headline(
    env_home: None, run: RunRecord
) -> None:
    app = open_page("runs", runs=run.id, look="pareto")
    table: pd.DataFrame = shown_table(app.dataframe[0])
    row = table.iloc[[*table["open"]].index(f"train?run={run.id}")]
    assert f"{row['test']:.2f} %" == format_percent(run.headline.test_accuracy)
    assert row["epoch"] == f"{run.headline.epoch} of {EPOCHS} (best)"
    assert words(run) in texts(app)
    assert result_of(run, "test_accuracy") == run.headline.test_accuracy
    assert last_result_of(run, "test_accuracy") == run.last_result.test_accuracy


def test_a_card_of_the_draw_page_shows_the_accuracy_of_the_loaded_weights(env_home: None, run: RunRecord) -> None:
    (model,), problems = load_models([run.id])
    assert problems == []
    assert subtitle(model) == words(run)
    assert words(run) in label(run)
    plain = replace(run, findings=())
    assert "diverged" not in label(plain)
    diverged = replace(run, findings=(Finding(DIVERGED, "mistake", "Diverged: the loss is nan."),))
    assert label(diverged) == label(plain).replace(f" · {run.id[:4]}", f" · diverged · {run.id[:4]}")


def test_the_cli_shows_the_headline_with_its_epoch(
    env_home: None, run: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["runs"])
    listed = capsys.readouterr().out
    assert format_percent(run.headline.test_accuracy) in listed
    assert f"{run.headline.epoch} of {EPOCHS} (best)" in listed
    main(["show", run.id])
    shown = capsys.readouterr().out
    assert f"Accuracy: {words(run)}" in shown
    assert f"It ended at {last_words(run)}" in shown
    main(["show", run.id, "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["headline"]["test_accuracy"] == run.headline.test_accuracy
    assert record["summary"]["final_epoch"] == EPOCHS
    main(["evaluate", run.id, "--all-epochs"])
    best = [line for line in capsys.readouterr().out.splitlines() if "best: lowest validation loss" in line]
    assert len(best) == 1
    assert best[0].startswith(f"epoch   {run.headline.epoch} of {EPOCHS}")


def test_report_model_card_tables_and_metrics_show_the_headline_with_its_epoch(lab: Lab, run: RunRecord) -> None:
    loaded = lab.weights.load(run.id)
    share = format_percent(run.headline.test_accuracy)
    card = model_card(loaded)
    assert f"test accuracy: {share}" in card
    assert f"those of epoch {run.headline.epoch} of {EPOCHS} (best), step {loaded.step}" in card
    assert f"The run ended at {last_words(run)}." in card
    assert facts(loaded)["test_accuracy"] == run.headline.test_accuracy
    html = write_report(lab, [run], examine_s=1.0)
    assert f"Result: {words(run)}; it ended at {last_words(run)}." in html
    assert f"with the weights of epoch {run.headline.epoch} of {EPOCHS} (best)" in html
    for text in (write_markdown(comparison_table([run])), write_latex(comparison_table([run])).replace(r"\%", "%")):
        assert share in text
        assert f"{run.headline.epoch} of {EPOCHS} (best)" in text
    (exported,) = json.loads(metrics_json([(run, lab.store.points.read(run.id))]))["runs"]
    assert exported["headline"]["epoch"] == run.headline.epoch


def test_an_imported_run_has_the_same_headline(lab: Lab, run: RunRecord, tmp_path: Path) -> None:
    other = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "other")}))
    bundle = tmp_path / "run.zip"
    bundle.write_bytes(write_bundle(lab, [run]))
    with bundle.open("rb") as stream:
        (imported,) = import_bundle(other, stream)
    assert imported.headline == run.headline
    assert imported.headline_text == words(run)

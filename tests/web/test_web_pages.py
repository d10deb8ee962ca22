"""Home and Train in `AppTest`, without a browser or a worker."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from lab.config import FIELDS, GROUPS, RunConfig
from lab.data.imports import import_file
from lab.data.local import write_drawings_dataset
from lab.data.registry import get_dataset_spec
from lab.presets import PRESETS
from lab.runs.records import RunRequest, RunState
from pages.cache.torch_import import require_torch
from pages.markdown import plain
from pages.state.train import TRAIN
from tests.web.addresses import go_to, open_page, set_state
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench, series

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "pages" / "entry.py"


def _texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.title]
    return "\n".join(part.value.translate(PLAIN) for part in parts)


def _facts(app: AppTest) -> dict[str, str]:
    """Return the facts above the live charts, by label."""
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    (facts,) = [data["facts"] for data in shown if "facts" in data]
    return dict(facts)


def _labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


# -- home --------------------------------------------------------------------------------------------------------------


def test_an_empty_lab_offers_to_train_on_the_built_in_digits_and_to_fetch_data_sets(bench: Bench) -> None:
    bench.lab.hide_examples(True)
    app = open_page()
    assert "Train a LeNet on the built-in digits" in _labels(app)
    assert "Fetch MNIST" in _labels(app)
    assert "No runs yet" in _texts(app)
    assert "99 % in seconds" not in _labels(app)


def test_an_imported_data_set_is_listed_on_home_and_can_be_chosen_on_train(bench: Bench, tmp_path: Path) -> None:
    assert "Imported digits" not in _texts(open_page())
    table = tmp_path / "train.csv"
    rows = [",".join(map(str, [k % 10, *np.random.default_rng(k).integers(0, 256, 784)])) for k in range(80)]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    imported = import_file(table, root=bench.lab.settings.data)
    title = f"Imported digits {imported.id[-12:][:4]}"
    assert f"**{title}**" in _texts(open_page())
    app = open_page("train")
    box = next(one for one in app.selectbox if one.label == "Data set")
    assert title in box.options
    box.set_value(imported.id).run()
    assert not app.exception
    assert "Pictures of digits from a CSV or .npz file." in _texts(app)
    assert app.query_params["dataset"] == imported.id
    app.button(key="train-button").click().run()
    assert [run.config.dataset for run in bench.lab.store.runs.list()] == [imported.id]


def test_home_lists_recent_runs_with_state_and_accuracy(bench: Bench) -> None:
    bench.finish(bench.start())
    text = _texts(open_page())
    assert ":green-badge[:material/check: finished]" in text
    assert "97.31 % test, epoch 3 of 3 (last)" in text


def test_a_read_only_lab_shows_everything_and_starts_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.finish(bench.start())
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    assert all(button.disabled for button in open_page().button)
    again = [b for b in open_page("train", run=run.id).button if b.label == "Train again"]
    assert [b.disabled for b in again] == [True]


def test_a_read_only_lab_warns_that_unchecked_runs_may_have_diverged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.finish(bench.start())
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    words = "Runs of an earlier release have not been checked yet, so a run that diverged may be listed as finished."
    for stored, shown in (("NULL", True), ("'[]'", False)):
        with bench.lab.store.database.write() as connection:
            connection.execute(text(f"UPDATE runs SET findings = {stored} WHERE id = '{run.id}'"))
        warnings = [each.value.translate(PLAIN) for each in open_page("runs").warning]
        assert any(each.startswith(words) for each in warnings) is shown


# -- the form ----------------------------------------------------------------------------------------------------------


def test_every_setting_of_the_registry_is_in_the_form_if_it_has_an_effect(bench: Bench) -> None:
    app = open_page("train")
    drawn = {w.key for kind in ("selectbox", "number_input", "toggle", "text_input") for w in app.get(kind)}
    config = RunConfig(dataset="digits")
    expected = {f"train.{s.name}" for s in FIELDS.values() if s.relevant(config)} - {"train.arch_options"}
    assert expected <= drawn
    assert {s.group for s in FIELDS.values()} <= set(GROUPS)


def test_a_setting_is_hidden_until_the_setting_that_it_needs_is_chosen(bench: Bench) -> None:
    app = open_page("train")
    assert "train.momentum" not in {w.key for w in app.number_input}
    app.selectbox(key="train.optimizer").set_value("sgd").run()
    assert "train.momentum" in {w.key for w in app.number_input}


def test_each_section_of_the_form_counts_its_own_changes(bench: Bench) -> None:
    app = open_page("train")
    assert [section.label for section in app.expander if "changed" in section.label] == []
    app.number_input(key="train.weight_decay").set_value(0.01).run()
    app.number_input(key="train.beta1").set_value(0.8).run()
    app.number_input(key="train.val_fraction").set_value(0.2).run()
    changed = [section.label for section in app.expander if "changed" in section.label]
    assert changed == ["Data (1 changed)", "Optimizer and schedule (2 changed)"]


def test_form_values_survive_a_page_switch(bench: Bench) -> None:
    app = open_page("train")
    app.number_input(key="train.epochs").set_value(17).run()
    app.number_input(key="train.lr").set_value(0.004).run()
    app.selectbox(key="train.arch").set_value("basic-cnn").run()
    go_to(app, "home").run()
    go_to(app, "train").run()
    assert app.number_input(key="train.epochs").value == 17
    assert app.number_input(key="train.lr").value == pytest.approx(0.004)
    assert app.selectbox(key="train.arch").value == "basic-cnn"


def test_every_preset_fills_the_form_with_its_own_configuration(bench: Bench) -> None:
    app = AppTest.from_function(_fill_with_every_preset, default_timeout=300).run()
    assert not app.exception
    for preset, values in app.session_state["read"].items():
        expected = PRESETS[preset].config()
        assert RunConfig.from_dict({**values, "arch_options": {}}) == expected.replace(arch_options={})
        assert expected.arch_options.items() <= values["arch_options"].items()


def _fill_with_every_preset() -> None:
    import streamlit as st

    from lab.presets import PRESETS
    from pages.state import train as state

    st.session_state["read"] = read = {}
    for name, preset in PRESETS.items():
        state.fill_form(preset.config(), preset=name)
        read[name] = state.form_values()


def test_choosing_an_experiment_fills_the_form_and_quotes_the_reports_result(bench: Bench) -> None:
    app = open_page("train")
    app.selectbox(key="train.preset").set_value("d-lenet-bn").run()
    assert app.selectbox(key="train.arch").value == "lenet-bn"
    assert app.number_input(key="train.lr").value == pytest.approx(1e-4)
    assert "97.48 %" in _texts(app)
    assert "40.72" not in _texts(app)


def test_a_mistake_in_the_settings_is_shown_before_training_with_a_one_click_fix(bench: Bench) -> None:
    app = open_page("train")
    app.selectbox(key="train.loss").set_value("nll").run()
    assert "NLL is given raw logits" in _texts(app)
    [remedy] = [b for b in app.button if b.key == "set-remedy-nll-on-logits"]
    remedy.click().run()
    assert app.selectbox(key="train.loss").value == "cross-entropy"
    assert "NLL is given raw logits" not in _texts(app)


def test_an_invalid_value_is_one_sentence_at_its_field_and_cannot_be_trained(bench: Bench) -> None:
    app = open_page("train")
    app.number_input(key="train.lr").set_value(0.0).run()
    assert "Learning rate is 0, but it must be above 0 and at most 100. The default is 0.001." in _texts(app)
    assert [b.disabled for b in app.button if b.label == "Train"] == [True]


@pytest.mark.parametrize("widths", ["6, many", "6²", "--6, 16", "6, ٣", f"6, {'9' * 5000}"])
def test_an_invalid_list_of_widths_is_reported_and_cannot_be_trained(bench: Bench, widths: str) -> None:
    app = open_page("train")
    app.text_input(key="train.option.lenet5.widths").set_value(widths).run()
    assert not app.exception
    assert "widths" in "".join(e.value for e in app.error)
    assert [b.disabled for b in app.button if b.label == "Train"] == [True]


def test_a_data_set_that_is_not_downloaded_is_offered_but_cannot_be_trained(bench: Bench) -> None:
    app = open_page("train")
    app.selectbox(key="train.dataset").set_value("mnist").run()
    assert "MNIST is not on this machine yet (12 MB)" in _texts(app)
    assert [b.disabled for b in app.button if b.label == "Train"] == [True]


def test_a_run_on_saved_drawings_can_be_changed_and_trained_again(bench: Bench) -> None:
    digits = bench.lab.datasets.load("digits")
    root = bench.lab.settings.data
    drawn = write_drawings_dataset(digits.test_images[:50], digits.test_labels[:50], beside=digits, root=root)
    run = bench.start(DIGITS_CONFIG.replace(dataset=drawn))
    require_torch()
    app = open_page("train", run=run.id)
    app.button(key="edit-settings").click().run()
    assert "Parameters" in {metric.label for metric in app.metric}
    assert app.selectbox(key="train.dataset").value == drawn
    assert "not on this machine" not in _texts(app)
    assert not app.button(key="train-button").disabled
    shutil.rmtree(root / "Drawings")
    app.run()
    assert "My drawings are not on this machine: fine-tune on your drawings again" in _texts(app)
    assert app.button(key="train-button").disabled
    assert not [label for label in _labels(app) if label.startswith("Fetch")]
    assert not app.metric, "the cost can only be computed with the drawings"


# -- a run -------------------------------------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_own_configuration_not_the_forms(bench: Bench) -> None:
    run = bench.start()
    app = open_page("train")
    app.number_input(key="train.epochs").set_value(99).run()
    app.query_params["run"] = run.id
    app.run()
    table = app.dataframe[0].value
    row = table[table["Setting"] == "Epochs"].iloc[0]
    assert (row["Value"], row["Default"], row["Changed"]) == ("3", "5", "changed")
    assert _labels(app)[:2] == ["Pause", "Stop"]


def test_the_live_view_is_attached_to_the_run_in_the_address(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 10)))
    app = open_page("train", run=run.id)
    [component] = [each for each in app.get("bidi_component") if "run" in json.loads(each.proto.json)]
    assert f'"run":"{run.id}"' in component.proto.json.replace(" ", "")


def test_pause_and_stop_reach_the_store(bench: Bench) -> None:
    run = bench.start()
    app = open_page("train", run=run.id)
    [pause] = [b for b in app.button if b.label == "Pause"]
    pause.click().run()
    assert bench.lab.store.runs.get(run.id).requested is RunRequest.PAUSE
    assert ":orange-badge[:material/hourglass_bottom: pausing]" in [each.value for each in app.markdown]
    assert [b.disabled for b in app.button if b.label == "Pause"] == [True]
    [stop] = [b for b in open_page("train", run=run.id).button if b.label == "Stop"]
    stop.click().run()
    assert bench.lab.store.runs.get(run.id).state is RunState.STOPPING


def test_a_finished_run_shows_its_results(bench: Bench) -> None:
    run = bench.finish(bench.start())
    app = open_page("train", run=run.id)
    shown = _facts(app)
    assert shown["Test accuracy"] == "97.31 %"
    assert shown["Last epoch"] == "3 of 3"
    assert "No weights are saved; these are the results of epoch 3 of 3 (last)." in _texts(app)
    assert shown["Training time"] == "1 min 23 s"
    assert "Train again" in _labels(app)


def test_the_form_shows_sample_images_and_the_labs_best_result_on_the_data_set(bench: Bench) -> None:
    app = open_page("train")
    strips = [each.proto.body for each in app.get("html") if "cl-thumbnails" in each.proto.body]
    assert [strip.count("<img") for strip in strips] == [10, 1]  # the data set's digits, the network's outline
    assert "Best here" not in _texts(app)
    bench.finish(bench.start())
    assert "Best here: 97.31 %, by LeNet-5." in _texts(open_page("train"))


def test_a_running_run_shows_its_progress_and_disables_buttons_that_need_weights(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.linspace(2, 1, 50)))
    app = open_page("train", run=run.id)
    assert list(_facts(app))[:2] == ["Epoch", "Step"]
    assert list(_facts(app))[-1] == "Status"
    assert len(_facts(app)) == 7  # as many rows of two to six as eight of a finished run: nothing moves
    assert list(_facts(open_page("train", run=bench.finish(run).id)))[-2:] == ["Learning rate", "Epochs trained"]
    assert len(_facts(open_page("train", run=run.id))) == 8
    disabled = {button.label: button.disabled for button in app.button}
    assert disabled["Look inside"]
    assert disabled["Test with a drawing"]


def test_a_run_that_was_found_instead_of_trained_is_shown_with_a_notice(bench: Bench) -> None:
    run = bench.finish(bench.start())
    app = open_page("train")
    set_state(app, TRAIN, cached=run.id)
    app.query_params["run"] = run.id
    app.run()
    assert "These settings were already trained on" in _texts(app)
    assert bench.lab.submissions.submit(bench.lab.validation.resolve(DIGITS_CONFIG)).cached


def test_the_settings_of_a_run_can_be_loaded_into_the_form(bench: Bench) -> None:
    run = bench.start(DIGITS_CONFIG.replace(lr=0.0123, arch="basic-cnn"))
    app = open_page("train", run=run.id)
    [edit] = [b for b in app.button if b.key == "edit-settings"]
    edit.click().run()
    assert app.number_input(key="train.lr").value == pytest.approx(0.0123)
    assert app.selectbox(key="train.arch").value == "basic-cnn"
    assert "run" not in app.query_params


def test_a_failed_run_shows_the_reason_and_its_name_verbatim(bench: Bench) -> None:
    run = bench.start()
    bench.lab.store.edits.rename(run.id, "<b>*bold* $x$")
    bench.lab.store.leases.finish(run.id, run.lease, state=RunState.FAILED, reason="The disk is full: free some space.")
    app = open_page("train", run=run.id)
    assert "The disk is full: free some space." in _texts(app)
    assert app.title[0].value == plain("<b>*bold* $x$")
    assert "Resume" in _labels(app)


def test_a_link_to_a_missing_run_shows_one_sentence_above_the_form(bench: Bench) -> None:
    app = open_page("train", run="nobody")
    assert "There is no run 'nobody'" in _texts(app)
    assert "Train" in _labels(app)


@pytest.mark.parametrize("page", ["home", "train"])
def test_an_unreadable_store_is_reported_in_one_sentence_on_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    home = tmp_path / "broken"
    home.mkdir()
    (home / "lab.db").write_bytes(b"this is no database at all, only some text that is long enough" * 20)
    monkeypatch.setenv("LAB_HOME", str(home))
    app = open_page(page)
    assert "run store" in "".join(e.value for e in app.error)


def test_a_bug_is_reported_without_details_which_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = AppTest.from_function(_fail).run()
    assert "secret" not in app.error[0].value
    assert "server's log" in app.error[0].value
    assert "ValueError: a secret" in caplog.text


def _fail() -> None:
    from pages.frame import report_bug

    try:
        raise ValueError("a secret")
    except ValueError as error:
        report_bug(error)


def test_markdown_characters_are_shown_verbatim() -> None:
    assert plain("a_b [x](javascript:1) <i>") == r"a\_b \[x\]\(javascript\:1\) \<i\>"


# -- imports -----------------------------------------------------------------------------------------------------------

_NO_TORCH = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({entry!r}, default_timeout=300).run()
assert not app.exception, [e.value for e in app.exception]
for page in {pages!r}:
    app.switch_page(page + "/page.py").run()
    assert not app.exception, [e.value for e in app.exception]
print("torch" in sys.modules)
"""


def test_pages_that_only_list_and_plot_do_not_import_torch(bench: Bench) -> None:
    bench.finish(bench.start())
    script = _NO_TORCH.format(entry=str(ENTRY), pages=["home", "runs"])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "False", done.stderr[-2000:]


def test_the_title_of_an_imported_data_set_is_shown_literally(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(get_dataset_spec("digits"), id="local-0123456789ab", title="2*2*2 [a](b)", local="x")
    monkeypatch.setattr("lab.data.local.list_imported", lambda *, root: (spec,))
    [line] = [each.value for each in open_page("home").markdown if "from a file" in each.value]
    assert r"2\*2\*2 \[a\]\(b\) 0123" in line

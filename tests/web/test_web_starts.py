"""Where buttons lead and what they request, each drawn alone: starts, forks, actions on a run, lines of lists."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import streamlit as st

from lab.charts.reports import ReportRow
from lab.examples.reader import Reading, drawing_reader
from lab.runs.records import WEIGHTS, RunState, SavedFile
from lab.runs.run_facts import RunProgress
from lab.service.lineage import TreeRow
from lab.sketch.render import draw_digit
from lab.sketch.unsure import Verdict
from pages.cache import torch_import
from pages.draw import pad
from pages.draw import runs as draw_runs
from pages.home import reading, recent
from pages.runs import reports
from pages.state.asking import ASKING, AskingState
from pages.state.draw import DRAW, DrawPage, DrawState
from pages.state.train import TRAIN, TrainState, form_values
from pages.train import cost, gallery, run_view
from pages.widgets import fork_form, lineage
from pages.widgets.machine import describe_machine
from pages.widgets.runs import run_line
from pages.widgets.start import start_training, watch
from tests.charts.charts_data import run
from tests.web.addresses import draw_alone
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench, series

pytestmark = pytest.mark.usefixtures("starts")

Visits = list[tuple[str, dict[str, str]]]


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Visits:
    """Return the page and query that each click led to. A part that is drawn alone knows no other pages."""
    found: Visits = []

    def switch(script: str, *, query_params: dict[str, str] | None = None) -> None:
        found.append((Path(script).parent.name, dict(query_params or {})))

    def link(script: str, *, label: str, query_params: dict[str, str] | None = None, **_look: Any) -> None:
        st.text(f"{label} -> {Path(script).parent.name} {dict(query_params or {})}")

    monkeypatch.setattr(st, "switch_page", switch)
    monkeypatch.setattr(st, "page_link", link)
    return found


# -- starting ----------------------------------------------------------------------------------------------------------


def test_starting_submits_the_run_with_name_owner_and_priority_and_opens_it(
    bench: Bench, visits: Visits, starts: list[str]
) -> None:
    def part() -> None:
        start_training(DIGITS_CONFIG, place="here", pressed=True, name="mine", priority=3, short=True)

    draw_alone(part, state={ASKING.state_key: AskingState(owner=" ann ")})
    [made] = bench.lab.store.queue.list()
    assert (made.name, made.owner, made.priority, made.config.epochs) == ("mine", "ann", 3, 3)
    assert visits == [("train", {"run": made.id})]
    assert starts == ["worker"]


def test_a_run_that_was_already_trained_is_opened_unless_a_fresh_one_is_requested(bench: Bench, visits: Visits) -> None:
    ended = bench.finish(bench.start())
    held: list[str] = []

    def part(fresh: bool) -> None:
        start_training(DIGITS_CONFIG, place="here", pressed=True, fresh=fresh, short=True)
        held.append(TRAIN.read().cached)

    draw_alone(lambda: part(False))
    draw_alone(lambda: part(True), state={TRAIN.state_key: TrainState(cached=ended.id)})
    [made] = bench.lab.store.queue.list()
    assert held == [ended.id, ""]
    assert visits == [("train", {"run": ended.id}), ("train", {"run": made.id})]


def test_a_configuration_that_cannot_be_trained_shows_a_sentence_and_starts_nothing(
    bench: Bench, visits: Visits
) -> None:
    config = DIGITS_CONFIG.replace(arch="vgg11", input_size="native")
    app = draw_alone(lambda: start_training(config, place="here", pressed=True, short=True))
    assert "smallest size that works is 32×32" in app.error[0].value.translate(PLAIN)
    assert (visits, bench.lab.store.queue.list()) == ([], ())


def test_an_opened_run_is_marked_as_cached_only_if_it_was_found(visits: Visits) -> None:
    held: list[str] = []
    for cached in (True, False):
        draw_alone(lambda cached=cached: (watch(run(), cached=cached), held.append(TRAIN.read().cached)))
    assert held == [run().id, ""]
    assert visits == [("train", {"run": run().id})] * 2


def test_a_fork_is_named_after_its_run_and_epoch_and_its_settings_open_in_the_form(
    bench: Bench, visits: Visits
) -> None:
    made = bench.start()
    bench.lab.store.leases.set_progress(made.id, made.lease, {"steps_per_epoch": 7})
    file = SavedFile(made.id, WEIGHTS, 14, 2, f"{made.id}/2", "0" * 64, 1, 0.0)
    bench.lab.store.files.add(made.id, made.lease, file)
    ended = bench.finish(made)
    bench.lab.store.edits.rename(ended.id, "long " * 39)
    ended = bench.lab.store.runs.get(ended.id)
    config = DIGITS_CONFIG.replace(fork_of=ended.id, fork_epoch=2, epochs=9)
    held: list[Any] = []

    def part() -> None:
        fork_form._buttons(ended, config, place="here")
        held.append(form_values() if TRAIN.read().ready else None)

    app = draw_alone(part)
    app.button(key=f"fork-form-here-{ended.id}").click().run()
    assert visits == [("train", {})]
    assert held[0] is None
    assert (held[1]["fork_of"], held[1]["fork_epoch"], held[1]["epochs"]) == (ended.id, 2, 9)
    app.button(key=f"fork-here-{ended.id}").click().run()
    [forked] = bench.lab.store.queue.list()
    assert forked.name == f"{ended.name} after epoch 2"[:200]
    assert len(forked.name) == 200
    assert (forked.config.fork_of, forked.config.fork_epoch) == (ended.id, 2)


@pytest.fixture
def torch_being_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate a process in which another thread is importing torch."""
    monkeypatch.setattr(torch_import, "_ready", threading.Event())
    with torch_import._once:
        yield


@pytest.mark.usefixtures("torch_being_imported")
def test_until_torch_is_imported_times_are_shown_as_being_estimated(bench: Bench) -> None:
    config = DIGITS_CONFIG.replace(lr=5.0)
    for part, words in (
        (lambda: draw_runs._promise(config), ["Estimating how long it takes …"]),
        (lambda: reports._estimate([cast(ReportRow, None)]), ["Estimating how long they take …"]),
        (lambda: reports._estimate([]), []),
    ):
        assert [each.value for each in draw_alone(part).caption] == words
    app = draw_alone(lambda: cost.cost_card(config))
    assert ([each.value for each in app.caption], list(app.metric)) == (["Estimated cost"], [])
    assert len(app.error) + len(app.warning) >= 1  # checking the settings needs no torch


@pytest.mark.usefixtures("torch_being_imported")
def test_a_warm_up_longer_than_the_step_limit_is_reported_before_the_start(bench: Bench) -> None:
    """The digits are 1,438 images: of 1,294 a batch of 64 makes 21 steps an epoch, so 42 steps are two epochs."""
    limited = DIGITS_CONFIG.replace(
        epochs=100, warmup_epochs=2, max_steps=42, batch_size=64, lr=1e-3, val_fraction=0.1, train_limit=0
    )
    [said] = [each.value for each in draw_alone(lambda: cost.cost_card(limited)).warning]
    assert "The warm\\-up takes 2 epochs and the run has 2" in said
    assert list(draw_alone(lambda: cost.cost_card(limited.replace(max_steps=43))).warning) == []


@pytest.mark.parametrize(
    ("measured", "source"), [(False, "estimated from the mult-adds"), (True, "as measured in an earlier run")]
)
def test_the_offer_of_a_first_run_states_its_time_and_the_source_of_the_estimate(
    bench: Bench, measured: bool, source: str
) -> None:
    torch_import.require_torch()
    if measured:
        made = bench.start()
        bench.lab.store.leases.finish(
            made.id, made.lease, state=RunState.FINISHED, seconds=20.0, summary={"images_per_second": 1_000.0}
        )
    [promise] = [each.value.translate(PLAIN) for each in draw_alone(lambda: draw_runs._promise(DIGITS_CONFIG)).caption]
    assert promise.startswith("Takes ")
    assert promise.endswith(f" on this machine ({describe_machine()}), {source}.")


# -- actions on a run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "action", "workers"), [("Pause", "pause", 0), ("Stop", "stop", 0), ("Resume", "run", 1)]
)
def test_a_request_reaches_the_store_and_only_resuming_starts_a_worker(
    bench: Bench, starts: list[str], label: str, action: str, workers: int
) -> None:
    made = bench.start()
    if label == "Resume":
        bench.lab.store.leases.finish(made.id, made.lease, state=RunState.PAUSED, reason="why")
    request = {one.value: one for one in run_view.RunRequest}[action]
    app = draw_alone(lambda: run_view._button(label, ":material/stop:", made, request, enabled=True))
    app.button[0].click().run()
    found = bench.lab.store.runs.get(made.id)
    assert found.requested is request
    assert found.state is (RunState.QUEUED if workers else found.state)
    assert starts == ["worker"] * workers
    assert (
        draw_alone(lambda: run_view._button(label, ":material/stop:", made, request, enabled=False)).button[0].disabled
    )


@pytest.mark.parametrize(
    ("state", "responding", "labels"),
    [
        (RunState.RUNNING, True, ["Pause", "Stop"]),
        (RunState.RUNNING, False, ["Resume", "Stop"]),
        (RunState.STOPPING, True, []),
        (RunState.STOPPING, False, ["Resume"]),
    ],
)
def test_a_run_whose_worker_does_not_respond_can_be_resumed(
    bench: Bench, state: RunState, responding: bool, labels: list[str]
) -> None:
    shown = replace(bench.start(), state=state, responding=responding)
    buttons = {button.label: button for button in draw_alone(lambda: run_view._controls(shown)).button}
    assert [label for label in buttons if label in ("Pause", "Resume", "Stop")] == labels
    assert all("does not respond" in buttons[label].help for label in labels if label == "Resume")


@pytest.mark.parametrize(
    ("state", "saved", "disabled", "kind"),
    [
        (RunState.FINISHED, True, False, "primary"),
        (RunState.RUNNING, True, False, "secondary"),
        (RunState.RUNNING, False, True, "secondary"),
        (RunState.FINISHED, False, None, ""),
    ],
)
def test_buttons_for_inside_and_draw_are_enabled_once_weights_are_saved(
    visits: Visits, state: RunState, saved: bool, disabled: bool | None, kind: str
) -> None:
    made = run(state=state)
    record = replace(made, saved=replace(made.headline, saved=True, epoch=1)) if saved else made
    app = draw_alone(lambda: run_view._use(record))
    if disabled is None:
        assert not app.button
        return
    assert [(one.label, one.disabled, one.proto.type) for one in app.button] == [
        ("Look inside", disabled, kind),
        ("Test with a drawing", disabled, kind),
    ]
    if not disabled:
        app.button[0].click().run()
        app.button[1].click().run()
        assert visits == [("inside", {"run": record.id}), ("draw", {"run": record.id})]


def test_repeats_open_together_and_a_node_of_the_tree_opens_its_run(visits: Visits) -> None:
    draw_alone(lambda: run_view._show_repeats(("aaaa", "bbbb")))
    draw_alone(lambda: lineage._open("cccc"))
    assert visits == [("runs", {"runs": "aaaa.bbbb"}), ("train", {"run": "cccc"})]


def test_only_the_run_that_was_found_says_that_it_was_already_trained() -> None:
    ended = run(7, seconds=83.0)
    for cached, record, hints in (
        (ended.id, ended, 1),
        ("another", ended, 0),
        (ended.id, replace(ended, state=RunState.STOPPED), 0),
    ):
        app = draw_alone(
            lambda record=record: run_view._cached_hint(record), state={TRAIN.state_key: TrainState(cached=cached)}
        )
        assert len(app.info) == hints
        if hints:
            words = "These settings were already trained on 1970-01-01 00:50 UTC, in 1 min 23 s. This is that run."
            assert app.info[0].value.translate(PLAIN).startswith(words)
    never = replace(ended, finished_at=None)
    app = draw_alone(lambda: run_view._cached_hint(never), state={TRAIN.state_key: TrainState(cached=ended.id)})
    assert "on 1970-01-01 00:16 UTC" in app.info[0].value


# -- lines of lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "progress", "apart", "facts"),
    [
        (RunState.FINISHED, {}, "", "{headline} · 1 h ago"),
        (RunState.FINISHED, {"step": 3, "total_steps": 9}, "lr 0.1", "lr 0.1 · {headline} · 1 h ago"),
        (RunState.RUNNING, {"step": 1200, "total_steps": 4000}, "", "step 1,200 of 4,000 · 1 h ago"),
        (RunState.RUNNING, {"step": None, "total_steps": 80}, "", "step 0 of 80 · 1 h ago"),
        (RunState.RUNNING, {"step": 3, "total_steps": None}, "", "1 h ago"),
    ],
)
def test_a_line_shows_a_runs_differing_settings_progress_result_and_age(
    bench: Bench, visits: Visits, state: RunState, progress: dict[str, Any], apart: str, facts: str
) -> None:
    summary = {"test_accuracy": 0.9731, "final_epoch": 5} if state is RunState.FINISHED else {}
    made = run(state=state, summary=summary)
    record = replace(
        made, progress=RunProgress.from_dict(progress), created_at=bench.lab.store.now() - 3_700.0, name="mine"
    )
    app = draw_alone(lambda: run_line(record, key="it", apart=apart))
    assert app.text[0].value == f"mine -> train {{'run': '{record.id}'}}"
    assert app.caption[0].value.translate(PLAIN) == facts.format(headline=record.headline_text)
    example = replace(record, id="example-overfit")
    assert "ago" not in draw_alone(lambda: run_line(example, key="it", apart="it")).caption[0].value


def test_an_unreadable_run_has_a_line_with_the_reason_and_no_link(visits: Visits) -> None:
    app = draw_alone(lambda: run_line(replace(run(), problem="its *settings* are gone"), key="it"))
    assert app.caption[0].value == "its \\*settings\\* are gone"
    assert not app.text
    assert "unreadable" in app.markdown[0].value


def test_home_lists_running_runs_first_then_the_newest_with_one_per_sweep(bench: Bench) -> None:
    made = [bench.queue(DIGITS_CONFIG.replace(seed=seed)) for seed in range(9)]
    claimed = bench.lab.store.leases.claim(slot="cpu", owner=bench.owner)
    assert claimed is not None
    assert claimed.id == made[0].id
    assert [one.id for one in recent._runs()] == [made[n].id for n in (0, 8, 7, 6, 5, 4)]
    for one in made[5:]:
        bench.lab.store.edits.set_tags(one.id, ("sweep-0123456789ab",))
    assert [one.id for one in recent._runs()] == [made[n].id for n in (0, 8, 4, 3, 2, 1)]


def test_a_run_without_a_curve_has_a_placeholder_of_the_same_size(bench: Bench) -> None:
    made = bench.queue()
    assert recent._spark(made) == f'<div style="width:{recent.WIDTH}px;height:{recent.HEIGHT}px"></div>'
    begun = bench.start(DIGITS_CONFIG.replace(seed=5))
    record = bench.lab.store.runs.get(begun.id)
    bench.write(record, series("val/accuracy", np.array([0.1, 0.5])))
    picture = recent._spark(bench.lab.store.runs.get(begun.id))
    assert picture.startswith(f'<img width="{recent.WIDTH}" height="{recent.HEIGHT}" alt="Accuracy by epoch"')


def test_choosing_a_card_applies_it_once_and_closes_the_gallery(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    applied: list[tuple[str, str]] = []
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(gallery, "cards", lambda *args, **facts: calls.append((args, facts)))

    def part() -> None:
        gallery.gallery(["digits"], take=lambda field, chosen: applied.append((field, chosen)))

    app = draw_alone(part, state={TRAIN.state_key: TrainState(browse="arch")})
    assert app.get("dialog")[0].proto.dialog.title == "Choose a network"
    [(args, facts)] = calls
    assert (args[0], facts["name"]) == ("train-cards-arch", "Choose a network")
    held: list[str] = []

    def pick() -> None:
        facts["on_pick"]("vgg11")
        held.append(TRAIN.read().browse)

    draw_alone(pick, state={TRAIN.state_key: TrainState(browse="arch")})
    assert (applied, held) == ([("arch", "vgg11")], [""])
    assert not draw_alone(part).get("dialog")


# -- the pads of Home and Draw -----------------------------------------------------------------------------------------


def _reading(**facts: Any) -> Reading:
    return replace(drawing_reader().read(draw_digit("4")), **facts)


def test_the_line_above_homes_pad_has_the_answer_or_why_it_is_unsure() -> None:
    sure = _reading()
    assert sure.label == "4"
    line = reading.line_html(sure)
    assert line.startswith('<p class="cl-read" role="status" data-answer="4"><span>It reads <b>4</b> &nbsp;with ')
    unsure = reading.line_html(replace(sure, verdict=Verdict(True, ("it is <only> a dot", "another"))))
    assert unsure == (
        '<p class="cl-read unsure" role="status" data-answer="4"><span><b>Unsure</b>: it is &lt;only&gt; a dot</span></p>'
    )
    assert "Draw a digit: a trained network reads it as you draw." in reading.line_html(None)
    assert reading.line_html(sure, announced=False) == line.replace(' role="status"', "")


def test_below_homes_pad_are_the_drawing_the_feature_maps_and_ten_probabilities() -> None:
    reader, found = drawing_reader(), _reading()
    html = reading.flow_html(reader, found, what="<it>")
    assert html.startswith('<p class="cl-what">What this network\'s layers make of &lt;it&gt;</p>')
    assert html.count("<figure>") == 1 + len(reader.layers)
    for title, (channels, tall, wide) in reader.layers:
        assert f"<figcaption>{title}<small>{channels} maps, {tall}×{wide}</small></figcaption>" in html
    shares = html.partition('<div class="cl-shares"')[2]
    assert shares.count('<div class="first">') == 1
    assert f'<div class="first"><i style="--share: {found.probabilities[4]:.3f}"></i>4</div>' in shares
    assert f'<div><i style="--share: {found.probabilities[7]:.3f}"></i>7</div>' in shares
    assert [reading._columns(count) for count in (1, 4, 5, 6, 9, 10)] == [1, 2, 3, 3, 3, 4]


def test_an_empty_pad_shows_the_layers_of_a_sample_three() -> None:
    html = reading.idle_html(drawing_reader())
    assert html.startswith('<div class="cl-pale"><p class="cl-what">What this network\'s layers make of a drawn 3</p>')
    assert '<div class="first"><i style="--share: ' in html
    assert html.rpartition('class="first"')[2].partition("</i>")[2].startswith("3<")


def test_the_standard_pad_starts_with_the_drawing_and_is_cleared_by_its_button() -> None:
    page = DrawPage(strokes="[[16,40,40,90,90]]", pen=9)
    pad.switch_pad(page)
    found: list[Any] = []
    app = draw_alone(lambda: found.append(pad.standard_pad(page)))
    assert (app.slider[0].value, app.slider[0].min, app.slider[0].max) == (9, 4, 40)
    assert not found[0].blank
    assert page.canvas_start == page.canvas
    app.button(key="draw-clear").click().run()
    assert (page.strokes, page.canvas, page.version) == ("[]", None, 2)
    assert found[-1].blank


def test_without_chosen_networks_draw_says_where_to_choose_them(bench: Bench) -> None:
    app = draw_alone(draw_runs.offer_training)  # the examples have weights
    assert app.info[0].value == "Choose one or more networks above to read what you draw."
    assert not app.button


def test_a_first_run_is_submitted_once_and_then_awaited(bench: Bench, starts: list[str]) -> None:
    config = draw_runs.starter(("digits",))
    held: list[DrawState] = []
    pending = [True]

    def part() -> None:
        held.append(DRAW.read())
        if pending:
            pending.clear()
            draw_runs._start(config)

    draw_alone(part, state={DRAW.state_key: DrawState(failed="The one before."), ASKING.state_key: AskingState("ann")})
    [made] = bench.lab.store.queue.list()
    assert (held[-1].training, held[-1].failed, made.owner, starts) == (made.id, "", "ann", ["worker"])


def test_chosen_networks_are_written_to_the_address() -> None:
    app = draw_alone(draw_runs._follow, state={DRAW.state_key: DrawState(runs=("aaaa", "bbbb"))})
    assert app.query_params["runs"] in ("aaaa.bbbb", ["aaaa.bbbb"])


def test_a_tree_marks_the_run_that_is_shown() -> None:
    nodes = [lineage._node(TreeRow(run(n), 0), here=run(2).id) for n in (1, 2)]
    assert [node.here for node in nodes] == [False, True]

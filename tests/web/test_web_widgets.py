"""Widgets that several pages share, each drawn alone: what they show, what they offer, and what a click does."""

import ast
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lab.architectures.registry import arch_title
from lab.config import RunConfig
from lab.data.registry import dataset_title, get_dataset_spec, register_dataset, unregister_dataset
from lab.errors import ConfigError
from lab.findings import Finding
from lab.inspection.summary import summarize
from lab.network_counts import count_from_config
from lab.networks import build_from_config
from lab.runs.records import WEIGHTS, RunRecord, SavedFile
from pages.state.asking import ASKING
from pages.state.keys import element
from pages.state.shared import CONFIRM, WAITING
from pages.widgets import datasets, fork_form, machine, start, waiting
from pages.widgets.asking import asking_label
from pages.widgets.confirm import LONG_S, start_unless_long
from pages.widgets.findings import show_finding
from pages.widgets.frame import page_frame
from pages.widgets.lineage import show_origin
from pages.widgets.popover import action_popover
from pages.widgets.repeat import _seconds
from pages.widgets.run_log import log_height, run_log_button, show_log
from pages.widgets.runs import with_id, words_apart, zone_of
from tests.charts.charts_data import run
from tests.web.addresses import draw_alone
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench

PAGES = Path(__file__).resolve().parents[2] / "pages"

# -- words -------------------------------------------------------------------------------------------------------------


def test_a_name_that_this_release_does_not_know_is_shown_unchanged() -> None:
    assert [arch_title(name) for name in ("lenet5", "lenet6")] == ["LeNet-5", "lenet6"]
    assert [dataset_title(name) for name in ("mnist", "m-nist")] == ["MNIST", "m-nist"]


def test_a_title_is_followed_by_the_start_of_the_id_except_for_examples() -> None:
    assert with_id("LeNet-5", "0123456789ab") == "LeNet-5 · 0123"
    assert with_id("LeNet-5", "0123456789ab", letters=6) == "LeNet-5 · 012345"
    assert with_id("Example: diverged", "example-diverged") == "Example: diverged"


def test_a_single_run_needs_no_distinguishing_words_and_unreadable_runs_get_none() -> None:
    one, two = run(1, lr=0.1), run(2, lr=0.2)
    unreadable = replace(run(3), problem="its settings are damaged")
    assert words_apart([one]) == {one.id: ""}
    assert words_apart([one, unreadable]) == {one.id: ""}
    assert words_apart([one, unreadable, two]) == {one.id: "lr 0.1", two.id: "lr 0.2"}
    assert words_apart([]) == {}


@pytest.mark.parametrize("name", [None, "", "Mars/Phobos", "../etc/passwd", "/etc/passwd"])
def test_times_are_in_utc_if_the_browser_names_no_known_zone(name: str | None) -> None:
    assert zone_of(name) is UTC
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("owner", "priority", "label"),
    [
        ("", 0, "Place in the queue"),
        ("  ", 0, "Place in the queue"),
        ("ann", 0, "Place in the queue (1 changed)"),
        ("", -2, "Place in the queue (1 changed)"),
        ("ann", 3, "Place in the queue (2 changed)"),
    ],
)
def test_the_label_of_the_place_in_the_queue_counts_what_was_changed(owner: str, priority: int, label: str) -> None:
    def part() -> None:
        ASKING.change(owner=owner, priority=priority)
        page_frame(asking_label())

    assert draw_alone(part).title[0].value == label


def test_a_missing_data_set_says_how_to_get_it() -> None:
    remote, bare = get_dataset_spec("mnist"), get_dataset_spec("digits")
    assert datasets.absent_words(remote) == (
        "MNIST is not on this machine yet (12 MB). The built-in digits need no download."
    )
    local = replace(bare, title="Drawings", local="import their bundle again")
    assert datasets.absent_words(local).startswith("Drawings are not on this machine: import their bundle again. ")
    manual = replace(bare, title="Ours")
    assert datasets.absent_words(manual).startswith("Ours is not on this machine: put its files in the data folder. ")


@pytest.mark.parametrize(
    ("done", "total", "share", "words"),
    [
        (500_000, 10_000_000, 0.05, "images.gz: 0.50 MB of 10.00 MB"),
        (500_000, 0, 0.0, "images.gz: 0.50 MB"),  # the server does not send the size
        (11_000_000, 10_000_000, 1.0, "images.gz: 11.00 MB of 10.00 MB"),
    ],
)
def test_a_download_shows_how_much_of_a_file_was_fetched(done: int, total: int, share: float, words: str) -> None:
    assert datasets.fetched_words("images.gz", done, total) == (share, words)


@pytest.mark.parametrize(
    ("severity", "kind", "icon"),
    [
        ("mistake", "error", ":material/error:"),
        ("warning", "warning", ":material/warning:"),
        ("hint", "info", ":material/lightbulb:"),
    ],
)
def test_a_finding_is_shown_according_to_its_severity(severity: str, kind: str, icon: str) -> None:
    app = draw_alone(lambda: show_finding(Finding("code", severity, "The loss *rises*.")))
    shown = {name: [(each.value, each.icon) for each in app.get(name)] for name in ("error", "warning", "info")}
    assert shown == {"error": [], "warning": [], "info": []} | {kind: [("The loss \\*rises\\*\\.", icon)]}


# -- questions before long work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("id", "arch", "size"), [("small", "vgg11", "native"), ("colours", "lenet5", "32")])
def test_the_work_is_counted_for_images_of_the_runs_data_set(id: str, arch: str, size: str) -> None:
    spec = replace(get_dataset_spec("digits"), id=id, recipe=None, image_size=32, channels=3 if id == "colours" else 1)
    trained = run(arch=arch, input_size=size)
    register_dataset(spec)
    try:
        counted = count_from_config(trained.config.replace(dataset=id)).total_mult_adds
        network = build_from_config(trained.config.replace(dataset=id))
    finally:
        unregister_dataset(id)
    assert counted == summarize(network, input_shape=(1, *spec.image_shape)).total_mult_adds


def test_work_of_more_than_half_a_minute_on_one_core_must_be_confirmed_once_per_key() -> None:
    macs = count_from_config(run().config).total_mult_adds
    at_once = int(600e9 // macs)
    answers: list[bool] = []

    def part(passes: int, key: str = "a") -> None:
        answers.append(waiting.worth_waiting(run(), passes=passes, what="Reading the test set", key=key))

    assert not draw_alone(lambda: part(at_once)).info
    app = draw_alone(lambda: part(at_once + 1))
    assert answers == [True, False]
    [question] = app.info
    assert question.value.translate(PLAIN) == (
        "Reading the test set takes 600.00 G mult-adds, roughly 30 s on one core. The page does not respond in the meantime."
    )
    app.button(key="wait-a").click().run()
    assert (answers[-1], len(app.info)) == (True, 0)
    assert WAITING.state_key in app.session_state
    assert draw_alone(lambda: part(at_once + 1, "b")).info


def test_mult_adds_are_counted_with_the_input_size_options_and_classes_of_the_run() -> None:
    usual = count_from_config(run().config).total_mult_adds
    assert usual == 423_038
    assert count_from_config(run(input_size="64").config).total_mult_adds > 4 * usual
    assert count_from_config(run(arch_options={"widths": [12, 16]}).config).total_mult_adds > 1.5 * usual
    assert (
        count_from_config(run(dataset="emnist-letters").config).total_mult_adds == usual + 85 * 16
    )  # 26 classes, each of 84 inputs and a bias


@pytest.mark.parametrize(
    ("runs", "title", "words"),
    [
        (
            1,
            "Start 10 min 01 s of training?",
            "This run takes about 10 min 01 s on this machine. Training continues when",
        ),
        (
            3,
            "Start 10 min 01 s of training?",
            "These 3 runs take about 10 min 01 s on this machine, one after the other.",
        ),
    ],
)
def test_more_than_ten_minutes_of_training_must_be_confirmed_once(runs: int, title: str, words: str) -> None:
    done: list[str] = []

    def part() -> None:
        import streamlit as st

        pressed = st.button("Go")
        start_unless_long(
            "here", pressed=pressed, seconds=lambda: LONG_S + 1, act=lambda: done.append("started"), runs=runs
        )
        start_unless_long("there", pressed=False, seconds=lambda: 0.0, act=lambda: done.append("another"))

    app = draw_alone(part)
    app.button[0].click().run()
    [dialog] = app.get("dialog")
    assert dialog.proto.dialog.title == title
    assert words in app.markdown[0].value.translate(PLAIN)
    assert app.button(key="confirm-yes").label == "Train for 10 min 01 s"
    app.button(key="confirm-no").click().run()
    assert (done, len(app.get("dialog"))) == ([], 0)
    app.button[0].click().run()
    app.button(key="confirm-yes").click().run()
    assert done == ["started"]
    app.run()
    assert (done, len(app.get("dialog"))) == (["started"], 0)


def test_ten_minutes_start_at_once_and_nothing_is_estimated_before_the_click() -> None:
    done: list[str] = []

    def seconds() -> float:
        done.append("counted")
        return LONG_S

    def part(pressed: bool) -> None:
        start_unless_long("here", pressed=pressed, seconds=seconds, act=lambda: done.append("started"))

    draw_alone(lambda: part(False))
    assert done == []
    app = draw_alone(lambda: part(True))
    assert done == ["counted", "started"]
    assert len(app.get("dialog")) == 0
    assert CONFIRM.state_key not in app.session_state


def test_runs_that_cannot_be_estimated_or_are_cached_count_as_no_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = bench.lab.validation.resolve
    assert start._seconds(resolve(DIGITS_CONFIG), fresh=False) > 0
    bench.finish(bench.start())
    assert start._seconds(resolve(DIGITS_CONFIG), fresh=False) == 0.0
    assert start._seconds(resolve(DIGITS_CONFIG), fresh=True) > 0

    def refuse(_config: object) -> float:
        raise ConfigError("it cannot be counted")

    monkeypatch.setattr(start, "estimate_cost", refuse)
    monkeypatch.setattr("pages.widgets.repeat.estimate_seconds", refuse)
    assert start._seconds(resolve(DIGITS_CONFIG), fresh=True) == 0.0
    assert _seconds(run(seconds=0.0), RunConfig()) == 0.0


# -- a run's log, origin and forks -------------------------------------------------------------------------------------


def test_the_last_sixty_lines_of_a_runs_log_are_shown_once_it_is_opened(bench: Bench) -> None:
    made = bench.queue()
    key = element("run-log", made.id)
    assert not draw_alone(lambda: run_log_button(made.id)).caption
    app = draw_alone(lambda: run_log_button(made.id), state={key: True})
    assert [each.value for each in app.caption] == ["No worker has logged anything for this run yet."]
    bench.lab.store.logs.write(made.id, host="calm pid:[1]", lines=tuple(f"line {n}" for n in range(61)))
    app.run()
    assert [each.value for each in app.caption] == ["Last lines logged by its worker on calm"]
    assert app.code[0].value.split("\n") == [f"line {n}" for n in range(1, 61)]


def test_the_lines_of_a_log_wrap_and_its_box_is_no_higher_than_its_content() -> None:
    (code,) = draw_alone(lambda: show_log("a line")).code
    assert code.proto.wrap_lines
    assert [log_height("\n".join(["a line"] * lines)) for lines in (0, 10, 11)] == ["content", "content", 320]


def test_a_run_whose_origin_is_not_in_the_lab_says_so_without_a_link(bench: Bench) -> None:
    alone = bench.queue()
    assert not draw_alone(lambda: show_origin(alone)).caption
    forked = replace(run(7, fork_of="0123456789ab", fork_epoch=2), parent="0123456789ab")
    app = draw_alone(lambda: show_origin(forked))
    [words] = [each.value.translate(PLAIN) for each in app.caption]
    assert words.endswith("0123456789ab, which is not in this lab.")
    assert words[0].isupper()
    assert not app.button


def _with_epochs(bench: Bench, *epochs: int, **config: object) -> RunRecord:
    """Return a finished run with the weights of these epochs."""
    made = bench.start(DIGITS_CONFIG.replace(**config))
    bench.lab.store.leases.set_progress(made.id, made.lease, {"steps_per_epoch": 7})
    for epoch in epochs:
        place = f"{made.id}/{epoch}"
        file = SavedFile(made.id, WEIGHTS, 7 * epoch, epoch, place, f"{epoch:064x}", 1, 0.0)
        bench.lab.store.files.add(made.id, made.lease, file)
    return bench.finish(made, best_epoch=2)


def test_a_fork_continues_after_any_saved_epoch_and_lasts_longer_than_that(bench: Bench) -> None:
    made = _with_epochs(bench, 1, 2, 3)
    points = {point.epoch: point for point in fork_form.list_fork_points(bench.lab.store, made)}
    best = replace(made, saved=replace(made.headline, epoch=2))
    found: list[int] = []
    app = draw_alone(lambda: found.append(fork_form._choose(best, points).epoch))
    assert app.selectbox[0].options == ["3", "2 (best)", "1"]
    app.selectbox[0].set_value(1).run()
    assert found == [2, 1]
    assert fork_form._choose(replace(made, saved=replace(made.headline, epoch=9)), points).epoch == 3
    changes: list[dict[str, object]] = []
    draw_alone(lambda: changes.extend(fork_form._changes(made, points[epoch]) for epoch in (2,)))
    draw_alone(lambda: changes.extend(fork_form._changes(made, points[epoch]) for epoch in (3,)))
    usual = {"lr": 0.001, "schedule": "constant", "batch_size": 32, "weight_decay": 0.0, "augment": "none"}
    assert changes == [{"epochs": 3, **usual}, {"epochs": 4, **usual}]


def test_a_fork_is_offered_for_the_requested_epoch_and_not_for_examples(bench: Bench) -> None:
    made = _with_epochs(bench, 1, 2)

    def labels(record: RunRecord, epoch: int | None) -> list[str]:
        app = draw_alone(lambda: fork_form.fork_popover(record, place="here", epoch=epoch))
        return [each.proto.popover.label for each in app.get("popover")]

    assert [labels(made, epoch) for epoch in (None, 2, 3)] == [
        ["Continue from epoch …"],
        ["Continue from epoch 2"],
        [],
    ]
    assert labels(bench.queue(DIGITS_CONFIG.replace(seed=9)), None) == []
    assert labels(replace(made, id="example-overfit"), None) == []


# -- the machine -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "words"), [("auto", "Apple GPU (mps)"), ("MPS", "Apple GPU (mps)"), ("cpu", "CPU, 1 core")]
)
def test_an_apple_silicon_mac_trains_on_its_gpu(monkeypatch: pytest.MonkeyPatch, device: str, words: str) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    monkeypatch.setattr(machine, "count_gpus", lambda _environment: 0)
    machine.describe_machine.cache_clear()
    try:
        assert machine.describe_machine(device).startswith(words)
        assert machine.device_choices() == ["auto", "mps", "cpu"]
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        machine.describe_machine.cache_clear()
        assert machine.describe_machine(device).startswith("CPU, 1 core")
    finally:
        machine.describe_machine.cache_clear()


def test_without_nvidia_smi_no_gpu_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    machine._nvidia_names.cache_clear()
    try:
        assert machine._nvidia_names() == []
    finally:
        machine._nvidia_names.cache_clear()


def test_a_popover_is_closed_the_next_time_it_is_drawn_after_a_request() -> None:
    from pages.state.session import close_popover

    key = element("some-box")
    held: list[bool] = []

    def part() -> None:
        held.append(action_popover("Open", key=key, icon=":material/add:").open)

    app = draw_alone(part, state={key: True})
    close = draw_alone(lambda: (close_popover(key), part()), state={key: True})
    assert held == [True, False]
    assert app.get("popover")[0].proto.popover.label == "Open"
    assert not close.session_state[key]


def test_no_number_input_has_bounds_beyond_which_the_browser_would_send_nothing() -> None:
    calls = [
        (path.relative_to(PAGES).as_posix(), call)
        for path in PAGES.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "number_input"
    ]
    assert len(calls) > 10
    bounded = [
        place
        for place, call in calls
        if len(call.args) > 1 or {"min_value", "max_value"} & {word.arg for word in call.keywords}
    ]
    assert bounded == ["inside/kernels.py"]  # the disabled input of a single channel

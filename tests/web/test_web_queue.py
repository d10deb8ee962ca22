"""Pages with many live runs: running ones are never hidden, the queue is in order, and both can be changed."""

import threading
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.config import RunConfig
from lab.presets import list_presets
from lab.runs.records import RunRecord, RunState
from lab.service.resolved import ResolvedConfig, resolve
from pages.cache.torch_import import require_torch
from pages.train.queue import queue_words
from tests.data.data_files import idx_bytes
from tests.web.addresses import open_page
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench


def _texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.title]
    return "\n".join(part.value.translate(PLAIN) for part in parts)


def _linked(app: AppTest) -> list[str]:
    """Return the ids of the runs that the page links to, in order."""
    links = [link.proto.query_string for link in app.get("page_link")]
    return [query.removeprefix("run=") for query in links if query.startswith("run=")]


def _queue(bench: Bench, count: int) -> list[RunRecord]:
    """Return one running run and the queued ones, in order."""
    first = bench.start(DIGITS_CONFIG.replace(seed=1000))
    return [first, *(bench.queue(DIGITS_CONFIG.replace(seed=seed)) for seed in range(count - 1))]


def _has_button(app: AppTest, key: str) -> bool:
    return any(button.key == key for button in app.button)


@pytest.mark.parametrize("count", [2, 5, 9])
def test_train_lists_the_running_run_first_and_then_the_queue_in_order(bench: Bench, count: int) -> None:
    runs = _queue(bench, count)
    app = open_page("train")
    assert f"1 run is training, {count - 1} " in _texts(app)
    assert {f"seed {run.config.seed}" for run in runs[:6]} <= set(_texts(app).replace("\n", " · ").split(" · "))
    assert _linked(app) == [run.id for run in runs[:6]]
    if count > 6:
        app.button(key="queue-more").click().run()
    assert _linked(app) == [run.id for run in runs]


def test_moving_a_run_changes_the_order_on_the_page_and_for_the_next_worker(bench: Bench) -> None:
    a, b, c, d, e = _queue(bench, 5)
    app = open_page("train")
    assert not _has_button(app, f"queue-up-{a.id}"), "a running run has no place in the queue"
    assert app.button(key=f"queue-up-{b.id}").disabled
    assert app.button(key=f"queue-down-{e.id}").disabled
    app.button(key=f"queue-front-{e.id}").click().run()
    app.button(key=f"queue-down-{b.id}").click().run()
    assert _linked(app) == [run.id for run in (a, e, c, b, d)]
    bench.finish(a)
    claimed = bench.lab.store.leases.claim(slot="cpu", owner=bench.owner)
    assert claimed is not None
    assert claimed.id == e.id


def test_a_run_claimed_in_the_meantime_is_not_moved_and_the_page_says_why(bench: Bench) -> None:
    a, b, _ = _queue(bench, 3)
    app = open_page("train")
    bench.finish(a)
    bench.lab.store.leases.claim(slot="cpu", owner=bench.owner)
    app.button(key=f"queue-down-{b.id}").click().run()
    assert f"Run {b.id} is running, so it has no place in the queue" in _texts(app)


def test_stopping_all_asks_and_then_stops_running_and_queued_runs(bench: Bench) -> None:
    runs = _queue(bench, 9)
    app = open_page("train")
    assert "Stop these 9 runs? Weights of finished epochs are kept" in _texts(app)
    app.button(key="queue-stop-all").click().run()
    states = [bench.lab.store.runs.get(run.id).state for run in runs]
    assert states == [RunState.STOPPING, *[RunState.STOPPED] * 8]
    assert _linked(app) == [runs[0].id]


def test_a_read_only_lab_shows_the_queue_but_cannot_change_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _queue(bench, 3)
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    app = open_page("train")
    assert _linked(app) == [run.id for run in runs]
    assert all(button.disabled for button in app.button if str(button.key).startswith("queue-up"))


def test_home_shows_the_running_run_even_if_many_were_queued_after_it(bench: Bench) -> None:
    runs = _queue(bench, 9)
    assert _linked(open_page())[0] == runs[0].id


@pytest.mark.parametrize(
    ("total", "waiting", "words"),
    [
        (1, 0, "1 run is training"),
        (3, 0, "3 runs are training"),
        (1, 1, "1 run is queued"),
        (2, 1, "1 run is training, 1 is queued"),
        (5, 3, "2 runs are training, 3 are queued"),
    ],
)
def test_the_queue_is_summarised_in_words(total: int, waiting: int, words: str) -> None:
    assert queue_words(total, waiting) == words


@pytest.mark.parametrize(
    ("total", "waiting", "silent", "words"),
    [
        (1, 0, 1, "1 run is not responding"),
        (4, 2, 1, "1 run is training, 1 is not responding, 2 are queued"),
    ],
)
def test_a_run_whose_worker_does_not_respond_is_not_counted_as_training(
    total: int, waiting: int, silent: int, words: str
) -> None:
    assert queue_words(total, waiting, silent=silent) == words


# -- long runs must be confirmed ---------------------------------------------------------------------------------------

LONG = RunConfig(dataset="digits", epochs=1000, arch="vgg11", input_size="224")


def test_a_short_run_is_queued_without_a_question(bench: Bench) -> None:
    app = open_page("train")
    app.number_input(key="train.epochs").set_value(2).run()
    app.button(key="train-button").click().run()
    assert bench.lab.store.queue.count_queued() == 1


def test_clicking_train_resolves_the_configuration_once(bench: Bench) -> None:
    app = open_page("train")
    app.number_input(key="train.epochs").set_value(2).run()
    calls: list[str] = []

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in (resolve.__code__, ResolvedConfig.with_input_size.__code__):
            calls.append(frame.f_code.co_name)

    threading.setprofile(count)  # AppTest runs a page in its own thread
    try:
        app.button(key="train-button").click().run()
    finally:
        threading.setprofile(None)
    assert bench.lab.store.queue.count_queued() == 1
    assert calls == ["resolve"]


def test_a_run_of_hours_must_be_confirmed_before_it_is_queued(bench: Bench) -> None:
    app = open_page("train")
    app.selectbox(key="train.arch").set_value("vgg11").run()
    app.number_input(key="train.epochs").set_value(1000).run()
    app.button(key="train-button").click().run()
    assert bench.lab.store.queue.count_queued() == 0
    (words,) = [markdown.value for markdown in app.markdown if "This run takes about" in markdown.value]
    assert " h " in words.translate(PLAIN)
    app.button(key="confirm-yes").click().run()
    assert bench.lab.store.queue.count_queued() == 1


def test_settings_that_were_already_trained_show_their_run_without_a_question(bench: Bench) -> None:
    bench.finish(bench.start(LONG))
    app = open_page("train")
    for name in ("arch", "input_size"):
        app.selectbox(key=f"train.{name}").set_value(getattr(LONG, name)).run()
    app.number_input(key="train.epochs").set_value(LONG.epochs).run()
    app.button(key="train-button").click().run()
    assert not _has_button(app, "confirm-yes")
    assert "These settings were already trained on" in _texts(app)


def test_training_a_run_of_hours_again_must_be_confirmed_too(bench: Bench) -> None:
    run = bench.finish(bench.start(LONG))
    app = open_page("train", run=run.id)
    app.button(key=f"again-{run.id}").click().run()
    assert bench.lab.store.queue.count_queued() == 0
    app.button(key="confirm-no").click().run()
    assert bench.lab.store.queue.count_queued() == 0
    app.button(key=f"again-{run.id}").click().run()
    app.button(key="confirm-yes").click().run()
    assert bench.lab.store.queue.count_queued() == 1


def _write_mnist(root: Path) -> None:
    """Write files with the names and format of MNIST but 100 images each, which is enough for training."""
    random = np.random.default_rng(0)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 100), ("t10k", 100)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(random.integers(0, 256, (count, 28, 28), np.uint8)))
        labels = np.arange(count, dtype=np.uint8) % 10
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def test_a_report_preselects_nothing_and_asks_with_the_duration_before_it_queues(bench: Bench) -> None:
    _write_mnist(bench.lab.settings.data)
    require_torch()
    app = open_page("runs", show="reports", report="D")
    (chosen,) = [box for box in app.multiselect if box.label == "Not yet run"]
    assert chosen.value == []
    assert app.button(key="runs-queue").disabled
    app.button(key="runs-missing-all").click().run()
    (chosen,) = [box for box in app.multiselect if box.label == "Not yet run"]
    count = len(chosen.value)
    assert count == len(list_presets("D"))
    (cost,) = [line.value for line in app.caption if "of training on this machine" in line.value]
    hours = cost.translate(PLAIN).split("About ")[1].split(" of training")[0]
    assert " h " in hours.translate(PLAIN)
    app.button(key="runs-queue").click().run()
    assert bench.lab.store.queue.count_queued() == 0
    assert f"These {count} runs take about {hours}" in _texts(app)
    app.button(key="confirm-yes").click().run()
    assert bench.lab.store.queue.count_queued() == count


@pytest.mark.parametrize(("epochs", "question"), [(400, False), (500, True)])
def test_ten_minutes_of_training_start_at_once_and_more_must_be_confirmed(
    bench: Bench, epochs: int, question: bool
) -> None:
    run = bench.start(DIGITS_CONFIG)
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, seconds=20.0, summary={"images_per_second": 1_000.0}
    )  # 1.293 s an epoch: 517 s and 647 s
    app = open_page("train")
    app.number_input(key="train.batch_size").set_value(DIGITS_CONFIG.batch_size).run()
    app.number_input(key="train.epochs").set_value(epochs).run()
    app.button(key="train-button").click().run()
    assert _has_button(app, "confirm-yes") is question
    assert bench.lab.store.queue.count_queued() == (0 if question else 1)


def test_the_form_submits_owner_and_priority_and_the_address_has_the_owner(bench: Bench) -> None:
    bench.queue(DIGITS_CONFIG.replace(seed=5))
    app = open_page("train", owner="ann")
    assert app.text_input(key="asking.owner").value == "ann"
    assert "Place in the queue (1 changed)" in [section.label for section in app.expander]
    app.text_input(key="asking.owner").set_value("bob ").run()
    app.number_input(key="asking.priority").set_value(2).run()
    app.number_input(key="train.epochs").set_value(2).run()
    assert app.query_params["owner"] in ("bob ", ["bob "])
    assert app.query_params["epochs"] in ("2", ["2"])
    require_torch()
    app.button(key="train-button").click().run()
    run = bench.lab.store.queue.list()[0]
    assert (run.owner, run.priority) == ("bob", 2)
    app = open_page("train")
    assert "bob · priority 2" in _texts(app)


def test_a_priority_out_of_range_is_refused_and_starts_nothing(bench: Bench) -> None:
    app = open_page("train")
    app.number_input(key="asking.priority").set_value(1_001).run()
    require_torch()
    app.button(key="train-button").click().run()
    assert "The priority is 1001, but it must be a whole number from -1,000 to 1,000." in _texts(app)
    assert bench.lab.store.queue.count_queued() == 0


def test_an_invalid_owner_in_the_address_is_reported(bench: Bench) -> None:
    app = open_page("train", owner="x" * 61)
    assert "The address has owner='xxx" in _texts(app)
    assert "at most 60 fit" in _texts(app)
    assert app.text_input(key="asking.owner").value == ""

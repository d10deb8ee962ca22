"""Runs, "Significance test": the verdict over all seeds of two settings, what is missing, and repeating with seeds."""

import pytest
from streamlit.testing.v1 import AppTest

from lab.config import RunConfig
from lab.examples.catalogue import EXAMPLES
from lab.runs.records import RunRecord, RunState
from pages.cache.inspection import answers_of
from pages.markdown import plain
from tests.comparison.compared_runs import BASE, HIGH, LOW, ended_run, folded, seeded
from tests.golden.page_text import shown_table
from tests.web.addresses import labelled, open_page
from tests.web.plain_text import PLAIN
from tests.web.web_data import Bench


@pytest.fixture
def base(bench: Bench) -> RunConfig:
    """Return the settings as a submission stores them, so that submitting them again finds these runs."""
    return bench.lab.validation.resolve(BASE).config


def _open(page: str = "runs", **query: str) -> AppTest:
    return open_page(page, **query)


def _texts(app: AppTest) -> str:
    parts = [*app.success, *app.info, *app.warning, *app.caption]
    return "\n".join(part.value.translate(PLAIN) for part in parts)


def _ids(*runs: RunRecord) -> str:
    return ".".join(run.id for run in runs)


def test_all_seeds_of_two_settings_are_compared_even_if_one_of_each_is_chosen(bench: Bench, base: RunConfig) -> None:
    a = seeded(bench.lab.store, LOW, base=base)
    b = seeded(bench.lab.store, HIGH, base=base, lr=0.01)
    app = _open(runs=_ids(a[2], b[0]), look="verdict")
    assert _texts(app).startswith(
        "Significant: lr 0.01 is better than lr 0.001 by 1.64 points (95 % interval 1.15 to 2.10; p = 0.0079; permutation test, 5 and "
        "5 runs)."
    )
    assert "lr 0.001: 91.36 ± 0.34 % (n = 5); lr 0.01: 93.00 ± 0.29 % (n = 5)" in _texts(app)
    assert not [button for button in app.button if button.key == "repeat-fill-verdict"]
    assert not [toggle for toggle in app.toggle if toggle.key == "runs.networks"]  # no weights are saved
    swapped = app.selectbox(key="runs.a").set_value(b[0].id).run()
    assert swapped.query_params["a"] in (b[0].id, [b[0].id])
    assert _texts(swapped).startswith("Significant: lr 0.01 is better than lr 0.001 by 1.64 points")


def test_one_click_queues_the_runs_that_are_missing_from_five(bench: Bench, base: RunConfig) -> None:
    store = bench.lab.store
    a = seeded(store, LOW[:3], base=base, first=2)
    b = ended_run(store, base.replace(lr=0.01), 0.93)
    app = _open(runs=_ids(a[0], b), look="verdict")
    assert "Not enough runs (3 and 1)" in _texts(app)
    app.button(key="repeat-fill-verdict").click().run()
    assert not app.exception, [each.value for each in app.exception]
    queued = store.runs.list(where="state:queued,running", limit=None)
    assert sorted((run.config.lr, run.config.seed) for run in queued) == [
        (0.001, 0),
        (0.001, 1),
        (0.01, 1),
        (0.01, 2),
        (0.01, 3),
        (0.01, 4),
    ]  # first the seeds of the other side


def test_comparisons_of_more_than_two_settings_are_corrected_for_their_number(bench: Bench, base: RunConfig) -> None:
    a = seeded(bench.lab.store, LOW, base=base)
    b = seeded(bench.lab.store, HIGH, base=base, lr=0.01)
    c = seeded(bench.lab.store, LOW[:1], base=base, batch_size=32)
    d = seeded(bench.lab.store, (0.921, 0.917, 0.92, 0.924, 0.9155), base=base, lr=0.005)
    app = _open(runs=_ids(a[0], b[0], c[0], d[0]), look="verdict", a=a[0].id, b=d[0].id)
    assert "p after Holm's correction = 0.032" in _texts(app)
    table = shown_table(app.dataframe[-1])
    assert len(table) == 6
    assert list(table.columns[:3]) == ["A", "B", "Result"]  # all that a phone shows without scrolling
    assert list(table["Result"]).count("not enough runs") == 3
    assert list(table["p (Holm)"])[:1] == ["0.024"]
    signs = [(row["B − A, points"].startswith("-"), row["Result"]) for _, row in table.iterrows()]
    assert {sign for sign in signs if "better" in sign[1]} <= {(True, "A is better"), (False, "B is better")}


def test_a_setting_without_a_finished_run_is_named_in_the_table(bench: Bench, base: RunConfig) -> None:
    a = ended_run(bench.lab.store, base, 0.9)
    c = ended_run(bench.lab.store, base.replace(lr=0.1), 0.8)
    b = bench.queue(base.replace(lr=0.01))
    table = shown_table(_open(runs=_ids(a, b, c), look="verdict").dataframe[-1])
    assert [tuple(row) for row in table[["A", "B", "Runs of A", "Runs of B"]].values] == [
        ("lr 0.001", "lr 0.01", "1", "0"),
        ("lr 0.001", "lr 0.1", "1", "1"),
        ("lr 0.01", "lr 0.1", "0", "1"),
    ]


def test_folds_are_compared_on_their_own_images_and_missing_ones_are_queued(bench: Bench, base: RunConfig) -> None:
    a = folded(bench.lab.store, LOW, base=base)
    b = folded(bench.lab.store, HIGH[:4], base=base, lr=0.01)
    plain = ended_run(bench.lab.store, base.replace(lr=0.01), 0.93)
    app = _open(runs=_ids(a[2], plain, b[0]), look="verdict")
    assert app.selectbox(key="runs.b").value == b[0].id  # the one with folds as well
    assert "Not enough folds (both sides have 4 in common): at least 5 are needed." in _texts(app)
    assert "lr 0.001: 91.35 ± 0.39 % (4 folds)" in _texts(app)
    assert "The test set is not used" in _texts(app)
    app.button(key="repeat-fill-verdict").click().run()
    assert not app.exception, [each.value for each in app.exception]
    queued = bench.lab.store.runs.list(where="state:queued,running", limit=None)
    assert [(run.config.lr, run.config.folds, run.config.fold) for run in queued] == [(0.01, 5, 5)]


def test_settings_that_cannot_be_compared_show_the_reason_and_the_rest_of_the_page(
    bench: Bench, base: RunConfig
) -> None:
    whole = ended_run(bench.lab.store, base, 0.93)
    fold = folded(bench.lab.store, LOW[:1], base=base, lr=0.01)[0]
    small = ended_run(bench.lab.store, base.replace(lr=0.1), 0.9, images=100)
    for other, words in ((fold, "measured on different images"), (small, "different test sets, of 100 and 359 images")):
        app = _open(runs=_ids(whole, other), look="verdict")
        assert words in _texts(app)
        assert not app.error
        assert [each for each in app.expander if each.label.startswith("Storage")]  # the last part of the page


def test_a_run_is_repeated_on_folds_which_replace_it_in_the_choice(bench: Bench, base: RunConfig) -> None:
    run = ended_run(bench.lab.store, base, 0.93)
    app = _open(runs=run.id)
    app.segmented_control(key="repeat.kind.runs").set_value("folds").run()
    app.number_input(key="repeat.folds.runs").set_value(3).run()
    app.button(key="repeat-fill-runs").click().run()
    assert not app.exception, [each.value for each in app.exception]
    chosen = [bench.lab.store.runs.get(one).config for one in labelled(app.multiselect, "Chosen runs").value]
    assert [(config.folds, config.fold, config.seed) for config in chosen] == [(3, 1, 0), (3, 2, 0), (3, 3, 0)]


@pytest.mark.parametrize(
    ("kind", "number", "sentence"),
    [
        ("folds", 0, "The number of folds is 0, but it must be from 2 to 20."),
        ("folds", 21, "The number of folds is 21, but it must be from 2 to 20."),
        ("seeds", 51, "The number of seeds is 51, but it must be from 1 to 50."),
    ],
)
def test_a_number_of_repeats_out_of_range_is_refused(
    bench: Bench, base: RunConfig, kind: str, number: int, sentence: str
) -> None:
    run = ended_run(bench.lab.store, base, 0.93)
    app = _open(runs=run.id)
    app.segmented_control(key="repeat.kind.runs").set_value(kind).run()
    box = app.number_input(key=f"repeat.{kind}.runs")
    assert (box.proto.has_min, box.proto.has_max) == (False, False)  # the browser would send nothing
    box.set_value(number).run()
    assert [error.value for error in app.error] == [plain(sentence)]
    assert not [button for button in app.button if button.key == "repeat-fill-runs"]


def test_a_single_setting_is_offered_to_be_repeated_first(bench: Bench, base: RunConfig) -> None:
    run = ended_run(bench.lab.store, base, 0.93)
    app = _open(runs=run.id, look="verdict")
    assert "at least two different settings" in _texts(app)
    app.number_input(key="repeat.seeds.runs").set_value(3).run()
    app.button(key="repeat-fill-runs").click().run()
    assert len(labelled(app.multiselect, "Chosen runs").value) == 3
    labelled(app.multiselect, "Chosen runs").set_value([run.id]).run()
    app.button(key="repeat-show-runs").click().run()
    assert len(labelled(app.multiselect, "Chosen runs").value) == 3
    assert {one.config.seed for one in bench.lab.repeating.find(run).runs} == {0, 1, 2}


def test_the_page_of_a_run_repeats_it_with_further_seeds(bench: Bench, base: RunConfig) -> None:
    run = ended_run(bench.lab.store, base, 0.93)
    app = _open("train", run=run.id)
    app.button(key=f"repeat-fill-{run.id}").click().run()
    repeats = bench.lab.repeating.find(run).runs
    assert [one.config.seed for one in repeats] == [0, 1, 2, 3, 4]
    assert repeats[0].state is RunState.FINISHED


def test_two_saved_networks_are_compared_image_by_image(bench: Bench) -> None:
    pair = EXAMPLES[0].id, EXAMPLES[1].id
    app = _open(runs=".".join(pair), look="verdict", a=pair[0], b=pair[1], networks="1")
    runs = [bench.lab.examples.store.runs.get(run) for run in pair]
    assert app.toggle(key="runs.networks").value is True
    a, b = (
        answers_of(run.id, bench.lab.examples.weights.find(run.id).sha256, run.config.dataset).right for run in runs
    )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert only_a != only_b
    counts = f"Of {a.size:,} test images, only A reads {only_a:,} correctly, and only B {only_b:,}."
    assert counts in _texts(app)
    assert "network A (" in _texts(app)

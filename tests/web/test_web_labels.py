"""Name, tags and note of a run are edited on its page; each change is checked and stored at once."""

from streamlit.testing.v1 import AppTest

from lab.runs.records import RunRecord
from tests.web.addresses import open_page
from tests.web.web_data import Bench


def open_run(run: RunRecord) -> AppTest:
    return open_page("train", run=run.id)


def test_a_run_is_renamed_tagged_and_annotated_on_its_page(bench: Bench) -> None:
    run = bench.finish(bench.start())
    app = open_run(run)
    app.text_input(key=f"train.name.{run.id}").set_value("  a *small* one ").run()
    app.multiselect(key=f"train.tags.{run.id}").set_value(["week 2", "baseline"]).run()
    app.text_area(key=f"train.note.{run.id}").set_value("lr 0.1 was\ntoo high").run()
    stored = bench.lab.store.runs.get(run.id)
    assert (stored.name, stored.tags, stored.note) == (
        "a *small* one",
        ("baseline", "week 2"),
        "lr 0.1 was\ntoo high",
    )
    assert app.title[0].value == "a \\*small\\* one"
    assert app.text[0].value == "lr 0.1 was\ntoo high"
    assert bench.lab.store.integrity.verify(run.id) == ()


def test_a_name_with_hidden_characters_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    run = bench.finish(bench.start())
    bench.lab.store.edits.rename(run.id, "before")
    app = open_run(run)
    app.text_input(key=f"train.name.{run.id}").set_value("evil\u202etxt").run()
    assert bench.lab.store.runs.get(run.id).name == "before"
    assert "U\\+202E" in app.error[0].value
    assert app.text_input(key=f"train.name.{run.id}").value == "before"


def test_a_name_entered_for_one_run_is_not_shown_for_another(bench: Bench) -> None:
    first = bench.finish(bench.start())
    second = bench.queue(first.config.replace(seed=7))
    app = open_run(first)
    app.text_input(key=f"train.name.{first.id}").set_value("the first").run()
    app = open_run(second)
    found = app.text_input(key=f"train.name.{second.id}")
    assert (found.value, found.placeholder) == ("", "LeNet-5 on Digits (built in)")  # it has no name yet
    assert bench.lab.store.runs.get(second.id).name != "the first"

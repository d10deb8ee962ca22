"""Pages on a damaged or unreachable store: the problem is reported in one sentence, and the rest stays usable."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.runs.row_changes import change_row, sound_row
from pages.cache.lab import get_lab
from pages.widgets import runs as widgets
from tests.postgres import PostgresServer, started_server
from tests.web.addresses import ENTRY, go_to
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench, series

PAGES = Path(__file__).resolve().parents[2] / "pages"


def _page(name: str, **address: str) -> AppTest:
    test = AppTest.from_file(str(ENTRY), default_timeout=300)
    for key, value in address.items():
        test.query_params[key] = value
    go_to(test, name)
    return test.run()


def _texts(test: AppTest) -> str:
    parts = (test.error, test.warning, test.caption, test.markdown, test.metric)
    facts = [element.proto.json for element in test.get("bidi_component") if '"facts"' in element.proto.json]
    return "\n".join([*(str(element.value).translate(PLAIN) for part in parts for element in part), *facts])


def _trained(bench: Bench, seed: int) -> str:
    run = bench.start(DIGITS_CONFIG.replace(seed=seed))
    bench.write(run, series("batch/loss", np.linspace(2, 1, 50)), series("val/loss", np.array([1.0]), first=50))
    return bench.finish(run).id


def _damage(bench: Bench, statement: str) -> None:
    with bench.lab.store.database.write() as connection:
        connection.exec_driver_sql(statement)


_DAMAGES = {
    "changed accuracy": "UPDATE runs SET summary = replace(summary, '0.9731', '0.9931') WHERE number = 1",
    "truncated JSON": "UPDATE runs SET config = substr(config, 1, 20) WHERE number = 1",
    "text instead of a number": "UPDATE runs SET created_at = 'yesterday' WHERE number = 1",
    "invalid UTF-8": "UPDATE runs SET name = CAST(x'ff41fe' AS TEXT) WHERE number = 1",
    "unknown state": "UPDATE runs SET state = 'finjshed' WHERE number = 1",
    "empty text instead of JSON": "UPDATE runs SET notices = '' WHERE number = 1",
}


@pytest.mark.parametrize("damage", list(_DAMAGES))
def test_a_damaged_run_is_marked_in_every_list_and_the_others_stay_readable(bench: Bench, damage: str) -> None:
    damaged, intact = _trained(bench, 1), _trained(bench, 2)
    _damage(bench, _DAMAGES[damage])
    for name in ("home", "runs"):
        test = _page(name)
        assert not test.exception
        assert f"Run {damaged} is damaged in the database" in _texts(test)
        assert "99.31" not in _texts(test)
    for name in ("train", "inside", "draw"):
        assert not _page(name).exception
    opened = _page("train", run=damaged)
    assert not opened.exception
    assert f"Run {damaged} is damaged in the database" in _texts(opened)
    other = _page("train", run=intact)
    assert not other.exception
    assert "97.31" in _texts(other)


def test_a_run_that_this_release_cannot_read_is_listed_with_the_reason(bench: Bench) -> None:
    newer, intact = _trained(bench, 1), _trained(bench, 2)
    store = bench.lab.store
    with store.database.write() as connection:  # an intact row of a release with another schema
        row = sound_row(connection, newer, lock=True)
        change_row(connection, row, config={**DIGITS_CONFIG.as_dict(), "schema": 99})
    for name in ("home", "runs"):
        test = _page(name)
        assert not test.exception
        assert f"The configuration of run {newer} cannot be read by this release" in _texts(test)
    assert "97.31" in _texts(_page("train", run=intact))
    assert "cannot be read by this release" in _texts(_page("train", run=newer))


def test_a_damaged_curve_is_reported_and_the_others_are_not(bench: Bench) -> None:
    damaged, intact = _trained(bench, 1), _trained(bench, 2)
    _damage(bench, "UPDATE points SET value = value + 1 WHERE run = 1 AND step = 7")
    test = _page("runs", runs=f"{damaged}.{intact}")
    assert not test.exception
    assert f"of run {damaged} is damaged in the database" in _texts(test)
    assert f"of run {intact}" not in _texts(test)


def test_an_unreadable_run_can_be_deleted_on_the_runs_page(bench: Bench) -> None:
    damaged = _trained(bench, 1)
    _damage(bench, _DAMAGES["truncated JSON"])
    test = _page("runs")
    test.button(key=f"runs-unreadable-{damaged}").click().run()
    assert not test.exception
    assert get_lab().store.runs.count() == 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> Iterator[PostgresServer]:
    with started_server() as running:
        monkeypatch.setenv("LAB_DATABASE", running.url)
        yield running
        get_lab().store.close()


def test_pages_report_unreachable_postgres_in_one_sentence_and_recover(server: PostgresServer) -> None:
    run = _trained(Bench(get_lab()), 1)
    assert "97.31" in _texts(_page("train", run=run))
    server.kill()
    for name in ("home", "runs", "train", "inside", "draw"):
        test = _page(name, **({"run": run} if name == "train" else {}))
        assert not test.exception
        sentences = {str(error.value).translate(PLAIN) for error in test.error}
        assert len(sentences) == 1
        assert "cannot be reached" in sentences.pop()
    server.start()
    for name in ("home", "runs", "train"):
        test = _page(name, **({"run": run} if name == "train" else {}))
        assert not test.exception
        assert not test.error
    assert "97.31" in _texts(_page("train", run=run))


def test_a_deliberate_error_in_a_callback_is_shown_as_its_sentence() -> None:
    def script() -> None:
        from lab.errors import StoreUnreachableError
        from pages.frame import report_bug

        report_bug(StoreUnreachableError("The run store x cannot be reached: try again."))

    test = AppTest.from_function(script).run()
    assert [str(error.value).translate(PLAIN) for error in test.error] == [
        "The run store x cannot be reached: try again."
    ]


def test_ages_are_measured_by_the_clock_of_the_store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.queue()
    monkeypatch.setattr(get_lab().store.context, "clock", lambda: run.created_at + 7_300)
    assert widgets.format_ago(run.created_at) == "2 h ago"

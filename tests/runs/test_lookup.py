"""Finding runs: which one a word means, in which order they come, and what is shown of one that cannot be read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.errors import RunNotFoundError
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.store import RunStore
from tests.runs.conftest import Clock
from tests.runs.runs_data import CONFIG, submit, write_past_checks


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: Clock) -> Iterator[RunStore]:
    """Return an empty store; the other kind is asked by the same statements."""
    opened = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}", clock=clock)
    yield opened
    opened.close()


def _finished(
    store: RunStore, me: Owner, key: str, *, state: RunState = RunState.FINISHED, **config: object
) -> RunRecord:
    """Return a run of the family "f" that has ended."""
    store.queue.submit(CONFIG.replace(**config), fingerprint=key, family="f")
    run = store.leases.claim(slot="cpu", owner=me)
    assert run is not None
    return store.leases.finish(run.id, run.lease, state=state)


def test_the_longest_of_a_family_comes_first_and_of_equals_the_newest(
    sqlite_store: RunStore, me: Owner, clock: Clock
) -> None:
    made = {}
    for name, epochs in (("short", 2), ("long", 5), ("again", 5), ("stopped", 9), ("gone", 8)):
        clock.now += 1
        state = RunState.STOPPED if name == "stopped" else RunState.FINISHED
        made[name] = _finished(sqlite_store, me, name, state=state, epochs=epochs).id
    sqlite_store.removal.delete(made["gone"])
    found = [run.id for run in sqlite_store.runs.find_family("f")]
    assert found == [made["again"], made["long"], made["short"]]


def test_five_runs_of_one_name_are_named_and_more_are_told(sqlite_store: RunStore, clock: Clock) -> None:
    ids = []
    for at in range(6):
        clock.now += 1
        ids.append(submit(sqlite_store, str(at), name="twin").id)
        if at == 4:
            with pytest.raises(
                RunNotFoundError, match=rf"^'twin' matches more than one run \({', '.join(ids)}\): give one"
            ):
                sqlite_store.runs.resolve("twin")
    with pytest.raises(RunNotFoundError, match=rf"\({', '.join(ids[:5])}, …\)"):
        sqlite_store.runs.resolve("twin")


def test_a_name_is_looked_for_among_twenty_names_at_most(sqlite_store: RunStore) -> None:
    for at in range(20):
        submit(sqlite_store, str(at), name=f"wide {at:02}")
    with pytest.raises(RunNotFoundError, match=r"no run with the id or name 'wide 99'\. Did you mean 'wide \d9'"):
        sqlite_store.runs.resolve("wide 99")
    submit(sqlite_store, "20", name="wide 20")
    with pytest.raises(RunNotFoundError, match=r"no run with the id or name 'wide 99'\. `python -m lab runs` lists"):
        sqlite_store.runs.resolve("wide 99")


def test_a_page_has_its_part_in_order_and_the_number_of_all(sqlite_store: RunStore, clock: Clock) -> None:
    ids = []
    for at in range(5):
        clock.now += 1
        ids.append(submit(sqlite_store, str(at), config=CONFIG.replace(lr=0.01 if at % 2 else 0.1), name=f"r{at}").id)
    sqlite_store.edits.set_pinned(ids[1], True)
    runs = sqlite_store.runs
    pages = {
        (): [4, 3, 2],
        ("offset",): [2, 1, 0],
        ("pinned",): [1, 4, 3],
        ("where",): [4, 2, 0],
        ("where", "offset"): [0],
    }
    for asked, places in pages.items():
        found = runs.page(
            where="lr=0.1" if "where" in asked else "",
            offset=2 if "offset" in asked else 0,
            pinned_first="pinned" in asked,
            limit=3,
        )
        assert ([ids.index(run.id) for run in found.records], found.total) == (places, 3 if "where" in asked else 5)
    assert runs.page(where="lr=0.1", offset=7, limit=3) == ((), 3)
    assert [ids.index(run.id) for run in runs.list(ids=[ids[3], ids[0], ids[4]], order="name", offset=1)] == [3, 4]
    assert (runs.count(where="lr=0.1", ids=ids[:2]), runs.count(ids=ids[:2])) == (1, 2)


def test_of_a_damaged_run_nothing_is_shown_but_its_id_and_what_is_wrong(
    sqlite_store: RunStore, me: Owner, clock: Clock
) -> None:
    run = _finished(sqlite_store, me, "a")
    sqlite_store.edits.set_pinned(run.id, True)
    sqlite_store.edits.set_note(run.id, "a note")
    with sqlite_store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET seconds = 7, device = 'cuda:1'")
    (found,) = sqlite_store.runs.list(problems=True)
    assert found.problem.startswith(f"Run {run.id} is damaged in the database")
    empty = replace(found, problem="", reason="", queued_at=0.0)
    assert empty == RunRecord(
        id=run.id,
        name="",
        config=RunConfig(),
        fingerprint="",
        family="",
        state=RunState.FAILED,
        requested=RunRequest.RUN,
        responding=True,
        reason="",
        lease=0,
        attempts=0,
        created_at=0.0,
        started_at=None,
        finished_at=None,
        seconds=0.0,
        device="",
        parent=None,
        origin="",
        pinned=False,
        note="",
        tags=(),
        notices=(),
        number=run.number,
        queued_at=0.0,
    )
    assert sqlite_store.runs.list() == ()


def test_a_row_of_an_older_release_with_a_text_for_a_number_is_damaged(sqlite_store: RunStore) -> None:
    run, sound = submit(sqlite_store), submit(sqlite_store, "b")
    write_past_checks(sqlite_store, sound.id, checksum=False)
    write_past_checks(sqlite_store, run.id, checksum=False)
    with sqlite_store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET seconds = 'long' WHERE id = ?", (run.id,))
    problems = {found.id: found.problem for found in sqlite_store.runs.list(problems=True)}
    assert problems[sound.id] == ""
    assert problems[run.id].startswith(f"Run {run.id} is damaged in the database")


def test_runs_in_training_are_counted_of_all_hosts_or_of_one(sqlite_store: RunStore, me: Owner) -> None:
    far = replace(me, host="far")
    for owner in (me, far, far):
        submit(sqlite_store, str(sqlite_store.runs.count()))
        assert sqlite_store.leases.claim(slot=f"cpu {sqlite_store.runs.count()}", owner=owner) is not None
    submit(sqlite_store, "waits")
    queue = sqlite_store.queue
    assert [queue.count_running(host=host) for host in (None, me.host, "far", "nowhere")] == [3, 1, 2, 0]


def test_hidden_characters_are_shown_and_line_breaks_stay_where_lines_may_be(sqlite_store: RunStore) -> None:
    run = submit(sqlite_store)
    write_past_checks(
        sqlite_store,
        run.id,
        name="a\u202eb\nc",
        note="one\ntwo\u202e",
        notices=["first\nsecond", "x\u200b"],
        reason="r\ns",
    )
    found = sqlite_store.runs.get(run.id)
    assert found.name == "a\\u202eb\\nc"
    assert (found.note, found.reason) == ("one\ntwo\\u202e", "r\ns")
    assert found.notices == ("first\nsecond", "x\\u200b")

"""Edits of runs by users; a deleted run can be restored for a week."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lab.errors import RunNotFoundError, RunStateError, StoreError, TextError
from lab.runs import curves, integrity
from lab.runs.older_rows import content_digest
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.removal import PURGE_AFTER_S
from lab.runs.row_changes import sound_row
from lab.runs.store import RunStore
from tests.runs.conftest import Clock
from tests.runs.runs_data import CONFIG, claimed, saved_file, series, submit

HOSTILE = "<script>alert(1)</script> '; DROP TABLE runs;-- 👩\u200d🔬 語 %s {0}"


def test_names_notes_tags_and_pins_are_stored_as_written(store: RunStore) -> None:
    run = submit(store)
    store.edits.rename(run.id, HOSTILE)
    store.edits.set_note(run.id, "two\nlines\t" + HOSTILE)
    store.edits.set_tags(run.id, ["b", " a ", "b", "", HOSTILE])
    store.edits.set_pinned(run.id, True)
    found = store.runs.get(run.id)
    assert (found.name, found.note, found.pinned) == (HOSTILE, "two\nlines\t" + HOSTILE, True)
    assert found.tags == tuple(sorted(["a", "b", HOSTILE]))
    assert store.edits.set_tags(run.id, []).tags == ()
    assert store.edits.set_pinned(run.id, False).pinned is False


def test_edits_work_while_a_run_trains_and_do_not_touch_its_lease(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.edits.rename(run.id, "new")
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.RUN


@pytest.mark.parametrize(
    ("tag", "words"), [("x" * 61, "The tag has 61 characters, but at most 60"), ("a\nb", "control character")]
)
def test_a_tag_that_is_too_long_or_has_a_line_break_is_refused(store: RunStore, tag: str, words: str) -> None:
    run = submit(store)
    with pytest.raises(StoreError, match=words):
        store.edits.set_tags(run.id, [tag])


def test_a_deleted_run_is_hidden_and_can_be_restored_completely(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [1], [1.0])})
    ended = store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"test_accuracy": 0.5})
    store.removal.delete(run.id)
    assert store.runs.count() == 0
    for read in (
        lambda: store.runs.get(run.id),
        lambda: store.points.read(run.id),
        lambda: store.edits.rename(run.id, "x"),
    ):
        with pytest.raises(RunNotFoundError, match="There is no run"):
            read()
    with pytest.raises(RunNotFoundError, match="no run with the id or name"):
        store.runs.resolve(run.id)
    assert store.runs.get(run.id, deleted=True).id == run.id
    back = store.removal.undelete(run.id)
    assert (back.state, back.summary) == (ended.state, ended.summary)
    assert store.points.read(run.id)["a"].value.tolist() == [1.0]
    assert store.removal.undelete(run.id) == back


def test_a_deleted_run_is_no_cached_answer_and_does_not_replace_a_newer_one_when_restored(
    store: RunStore, me: Owner
) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    store.removal.delete(run.id)
    again, cached = store.queue.submit(CONFIG, fingerprint="f", family="g")
    assert not cached
    store.removal.undelete(run.id)
    assert store.queue.submit(CONFIG, fingerprint="f", family="g")[0].id == again.id


def test_a_training_run_must_be_stopped_before_it_is_deleted(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    with pytest.raises(RunStateError, match="is running, so it cannot be deleted: stop it first"):
        store.removal.delete(run.id)


def test_a_deleted_queued_run_is_never_trained(store: RunStore, me: Owner) -> None:
    run = submit(store)
    store.removal.delete(run.id)
    assert store.leases.claim(slot="cpu", owner=me) is None
    assert store.removal.undelete(run.id).state is RunState.STOPPED


def test_purging_removes_only_runs_deleted_a_week_ago_and_the_files_only_they_list(
    store: RunStore, me: Owner, clock: Clock
) -> None:
    old = claimed(store, me, "a")
    store.points.append(old.id, old.lease, {"a": series("a", [1], [1.0])})
    for path in ("r/own", "r/shared"):
        store.files.add(old.id, old.lease, saved_file(old.id, path))
    store.leases.finish(old.id, old.lease, state=RunState.FINISHED)
    child = submit(store, "b")
    store.history.copy(old.id, child.id)
    store.leases.request(child.id, RunRequest.STOP)
    recent = submit(store, "c")
    store.removal.delete(old.id)
    clock.now += PURGE_AFTER_S - 1
    store.removal.delete(recent.id)
    removed: list[str] = []
    store.removal.purge(removed.extend)
    assert removed == []
    clock.now += 1
    fresh = [file.path for file in store.files.list(child.id)]
    assert fresh == ["r/own", "r/shared"]
    store.removal.purge(removed.extend)
    assert removed == []
    with pytest.raises(RunNotFoundError, match="There is no run"):
        store.removal.undelete(old.id)
    assert store.points.read(child.id)["a"].value.tolist() == [1.0]
    store.removal.delete(child.id)
    store.removal.purge(removed.extend, older_than_s=0)
    assert removed == ["r/own", "r/shared"]
    assert store.runs.count() == 0


def test_a_purge_that_fails_before_its_files_are_removed_removes_them_the_next_time(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.files.add(run.id, run.lease, saved_file(run.id, "r/own"))
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    store.removal.delete(run.id)

    def fail(paths: Sequence[str]) -> None:
        raise OSError(f"killed before {paths} were removed")

    with pytest.raises(OSError, match="r/own"):
        store.removal.purge(fail, older_than_s=0)
    removed: list[str] = []
    store.removal.purge(removed.extend, older_than_s=0)
    assert removed == ["r/own"]


def test_a_run_is_verified_against_the_digest_written_when_it_ended(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [1, 2], [1.0, float("nan")])})
    store.files.add(run.id, run.lease, saved_file(run.id))
    assert store.integrity.verify(run.id) == ()
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"test_accuracy": 0.5, "x": float("inf")})
    store.edits.rename(run.id, "edits are no damage")
    assert store.integrity.verify(run.id) == ()
    for damage in (
        "UPDATE points SET value = 1.0000000000000002 WHERE step = 1",
        "UPDATE kept SET epoch = 2",
        "UPDATE runs SET seconds = 9",
    ):
        with store.database.write() as connection:
            connection.exec_driver_sql(damage)
        (sentence,) = store.integrity.verify(run.id)
        assert run.id in sentence
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE points SET value = 1.0 WHERE step = 1")
            connection.exec_driver_sql("UPDATE kept SET epoch = 1")
            connection.exec_driver_sql("UPDATE runs SET seconds = 0")
        assert store.integrity.verify(run.id) == ()


def test_the_digest_of_a_curve_does_not_depend_on_the_parts_in_which_it_is_read(
    store: RunStore, me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [1 / 3, float("nan"), float("inf"), 5e-324, -2.0]
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {name: series(name, range(1, 6), values) for name in ("b", "a")})
    table = np.array([[step, value, step * 0.5] for step, value in enumerate(values, 1)])
    known = hashlib.sha256(b"a\0" + table.tobytes() + b"b\0" + table.tobytes()).hexdigest()
    for part in (2, 5, 20_000):
        monkeypatch.setattr(curves, "_FETCH", part)
        with store.database.read() as connection:
            assert content_digest(connection, sound_row(connection, run.id)) == known


def test_a_stopping_run_cannot_be_deleted(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.leases.request(run.id, RunRequest.STOP)
    with pytest.raises(RunStateError, match="is stopping, so it cannot be deleted: wait until it has stopped"):
        store.removal.delete(run.id)
    assert store.leases.heartbeat(run.id, run.lease) is RunRequest.STOP


def test_texts_and_tags_may_have_at_most_the_stated_length(store: RunStore) -> None:
    run = submit(store)
    store.edits.rename(run.id, "x" * 200)
    store.edits.set_note(run.id, "x" * 20_000)
    store.edits.set_tags(run.id, ["x" * 60])
    assert len(store.edits.set_tags(run.id, [str(number) for number in range(200)]).tags) == 200
    with pytest.raises(TextError, match="The name has 201 characters, but at most 200"):
        store.edits.rename(run.id, "x" * 201)
    with pytest.raises(TextError, match="The note has 20001 characters, but at most 20000"):
        store.edits.set_note(run.id, "x" * 20_001)
    with pytest.raises(TextError, match="There are 201 tags, but at most 200"):
        store.edits.set_tags(run.id, [str(number) for number in range(201)])


def test_an_open_store_checks_its_file_every_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is damaged after the first check, and only the next check reports it."""
    now = SimpleNamespace(s=5.0)
    monkeypatch.setattr(integrity, "time", SimpleNamespace(monotonic=lambda: now.s))
    path = tmp_path / "lab.db"
    store = RunStore.open(f"sqlite:///{path}")
    for number in range(40):
        submit(store, str(number))
    assert store.integrity.warnings() == ()
    store.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'runs_state'")
    for later, known in ((0.0, False), (599.0, False), (1.0, True), (300.0, True)):
        now.s += later
        assert bool(store.integrity.warnings()) == known, (later, known)
    store.close()


def test_a_restored_run_is_again_the_cached_answer_for_its_settings(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    store.removal.delete(run.id)
    store.removal.undelete(run.id)
    again, cached = store.queue.submit(CONFIG, fingerprint="f", family="g")
    assert (again.id, cached) == (run.id, True)

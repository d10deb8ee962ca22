"""Stores written by an older release open unchanged; intact rows get a checksum, damaged ones are reported.

`stores/schema-3.db.gz` was written by the release with schema 3 (commit e347f53): a finished, a paused and a queued run
with points, saved files and a drawing.
"""

import gzip
import math
from pathlib import Path

import pytest

from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.store import RunStore

STORE = Path(__file__).parent / "stores" / "schema-3.db.gz"


@pytest.fixture
def older(tmp_path: Path) -> str:
    file = tmp_path / "lab.db"
    file.write_bytes(gzip.decompress(STORE.read_bytes()))
    return f"sqlite:///{file}"


def _damage(url: str, statement: str) -> None:
    with RunStore.open(url).database.write() as connection:
        connection.exec_driver_sql(statement)


def _checksums(store: RunStore) -> list[str]:
    with store.database.read() as connection:
        return list(connection.exec_driver_sql("SELECT seal FROM runs ORDER BY number").scalars())


def test_an_older_store_shows_the_same_runs_and_gets_checksums_once_it_is_checked(older: str) -> None:
    store = RunStore.open(older)
    before = store.runs.list(order="number")
    assert [(run.name, run.state) for run in before] == [
        ("finished", RunState.FINISHED),
        ("paused", RunState.PAUSED),
        ("queued", RunState.QUEUED),
    ]
    assert _checksums(store) == ["", "", ""]
    assert [store.integrity.verify(run.id) for run in before] == [(), (), ()]
    assert store.integrity.checksum_older_rows() == ()
    store.sketches.checksum_older_rows()
    assert all(_checksums(store))
    assert repr(store.runs.list(order="number")) == repr(before)  # NaN is not equal to itself
    assert [store.integrity.verify(run.id) for run in before] == [(), (), ()]
    value = store.points.read(before[0].id)["val/loss"].value.tolist()
    assert value[:2] == [1.0, 0.5]
    assert math.isnan(value[2])
    assert len(store.files.list(before[0].id)) == 1
    assert store.sketches.count_damaged() == 0
    _damage(older, "UPDATE sketches SET label = '8'")
    assert (store.sketches.count_damaged(), store.sketches.list()) == (1, ())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET seconds = 9 WHERE number = 1",
        "UPDATE points SET value = 9 WHERE run = 1 AND step = 2",
        "UPDATE kept SET epoch = 2",
    ],
)
def test_a_run_that_was_damaged_before_the_upgrade_gets_no_checksum(older: str, damage: str) -> None:
    _damage(older, damage)
    store = RunStore.open(older)
    finished, paused, _ = store.runs.list(order="number")
    named = [sentence for sentence in store.integrity.checksum_older_rows() if finished.id in sentence]
    assert len(named) == 1
    assert store.integrity.verify(finished.id)
    assert _checksums(store)[0] == ""
    assert _checksums(store)[2] != ""
    assert paused


def test_rows_of_an_older_store_that_cannot_be_decoded_break_no_list(older: str) -> None:
    _damage(older, "UPDATE runs SET config = substr(config, 1, 9) WHERE number = 1")
    _damage(older, "UPDATE runs SET name = CAST(x'ff41' AS BLOB) WHERE number = 2")
    store = RunStore.open(older)
    assert [bool(run.problem) for run in store.runs.list(order="number", problems=True)] == [True, True, False]
    assert [run.name for run in store.runs.list()] == ["queued"]


def test_runs_of_an_older_store_get_checksums_when_they_are_edited_or_resumed(older: str) -> None:
    store = RunStore.open(older)
    paused = next(run for run in store.runs.list() if run.name == "paused")
    store.edits.rename(paused.id, "renamed")
    store.leases.request(paused.id, RunRequest.RUN)
    for _ in range(2):
        run = store.leases.claim(slot="cpu", owner=Owner.of_this_process())
        assert run is not None
        store.history.rewind(run.id, run.lease, 3)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
        assert store.integrity.verify(run.id) == ()
    assert store.points.read(paused.id)["val/loss"].step.tolist() == [1, 2, 3]
    assert store.files.list(paused.id) == ()
    assert [bool(checksum) for checksum in _checksums(store)] == [False, True, True]

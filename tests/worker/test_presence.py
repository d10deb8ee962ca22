"""How often a waiting worker polls for a run, depending on how many workers wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from lab.runs.owner import Owner
from lab.runs.store import RunStore
from lab.runs.tables import workers
from lab.runs.workers import WorkerRecord
from lab.worker.presence import Presence


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = RunStore.open(f"sqlite:///{tmp_path / 'lab.db'}")
    yield opened
    opened.close()


def _add_waiting_workers(store: RunStore, count: int) -> None:
    with store.database.write() as connection:
        now = store.context.moment(connection).now
        row = {"host": "far", "pid": 1, "pid_start": "x", "device": "cpu", "engine": 1, "slots": 1, "seen_at": now}
        connection.execute(insert(workers), [{**row, "slot": f"cpu #{number}"} for number in range(count)])


@pytest.mark.parametrize(("others", "least_s", "most_s"), [(0, 0.3, 0.3), (8, 0.3, 0.3), (899, 15.0, 45.0)])
def test_a_worker_polls_less_often_the_more_workers_wait(
    store: RunStore, others: int, least_s: float, most_s: float
) -> None:
    if others:
        _add_waiting_workers(store, others)
    presence = Presence(store, WorkerRecord(Owner.of_this_process(), "cpu", "cpu", 1, 1))
    presence.renew()
    assert least_s <= presence.look_again_s(0.3) <= most_s


def test_workers_that_started_together_do_not_poll_together(store: RunStore) -> None:
    _add_waiting_workers(store, 899)
    presence = Presence(store, WorkerRecord(Owner.of_this_process(), "cpu", "cpu", 1, 1))
    presence.renew()
    assert len({presence.look_again_s(0.3) for _ in range(5)}) > 1

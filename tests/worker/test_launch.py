"""For how many workers of a host there is work."""

from dataclasses import replace
from pathlib import Path

from lab.runs.owner import Owner
from lab.worker.supervisor.launch import count_needed, has_work, needs_worker
from tests.runs.runs_data import submit
from tests.worker.worker_runs import open_lab


def test_workers_are_needed_for_what_waits_and_what_this_host_trains(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    store, me = lab.store, Owner.of_this_process()
    assert (count_needed(store), count_needed(store, warm=True)) == (0, 1)
    assert not has_work(store, lab.settings)
    for key in "abcd":
        submit(store, key)
    assert count_needed(store) == count_needed(store, warm=True) == 4
    store.leases.claim(slot="cpu", owner=me)
    store.leases.claim(slot="cpu", owner=replace(me, host="far"))
    assert count_needed(store) == 3  # one that is trained here, and two that wait
    store.queue.stop_all()
    assert (needs_worker(store), count_needed(store), has_work(store, lab.settings)) == (False, 0, False)

"""Disk usage of saved files: the sum of their listed sizes, each file counted once."""

from dataclasses import replace

from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.saved_files import FileUsage
from lab.runs.store import RunStore
from tests.runs.runs_data import claimed, saved_file, submit


def _run(store: RunStore, me: Owner, key: str, files: dict[str, int]) -> str:
    run = claimed(store, me, key, slot=key)
    for path, size in files.items():
        store.files.add(run.id, run.lease, replace(saved_file(run.id, path), bytes=size))
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    return run.id


def test_files_are_summed_by_run_and_a_shared_one_counts_once_in_the_total(store: RunStore, me: Owner) -> None:
    small = _run(store, me, "a", {"a/1": 10, "a/2": 20})
    large = _run(store, me, "b", {"b/1": 100, "a/1": 10})  # a longer run that lists its parent's first epoch
    submit(store, "c")
    usage = store.files.measure()
    assert usage == FileUsage({large: 110, small: 30}, total=130, deleted=0, deleted_runs=0)
    assert list(usage.of_runs) == [large, small]


def test_a_deleted_run_frees_only_files_that_no_other_run_lists(store: RunStore, me: Owner) -> None:
    parent = _run(store, me, "a", {"a/1": 10, "a/2": 20})
    child = _run(store, me, "b", {"b/1": 100, "a/1": 10})
    store.removal.delete(parent)
    assert store.files.measure() == FileUsage({child: 110}, total=110, deleted=20, deleted_runs=1)
    removed: list[str] = []
    store.removal.purge(removed.extend, older_than_s=0.0)
    assert removed == ["a/2"]
    assert store.files.measure() == FileUsage({child: 110}, total=110, deleted=0, deleted_runs=0)


def test_an_empty_store_uses_no_space(store: RunStore) -> None:
    assert store.files.measure() == FileUsage({}, total=0, deleted=0, deleted_runs=0)

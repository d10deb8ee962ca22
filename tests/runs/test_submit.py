"""Submitting a run: one cached answer per fingerprint; a run is found by its id, a prefix of it, or its name."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.config import RunConfig
from lab.errors import RunNotFoundError, StoreError
from lab.runs import rows
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.store import RunStore
from tests.runs.conftest import Clock
from tests.runs.runs_data import CONFIG, claimed, submit


def test_a_submitted_run_is_read_back_as_submitted(store: RunStore, clock: Clock) -> None:
    config = RunConfig(arch="wide-cnn", arch_options={"widths": [8, 16]}, dataset="digits", lr=0.0123456789)
    record, cached = store.queue.submit(
        config,
        fingerprint="f" * 64,
        family="g" * 64,
        name="  first try ",
        parent="p",
        tags=["b", "a", "b", " "],
        origin="imported",
    )
    assert not cached
    assert store.runs.get(record.id) == record
    assert record.config == config
    assert (record.state, record.requested, record.responding) == (RunState.QUEUED, RunRequest.RUN, True)
    assert (record.name, record.tags, record.parent, record.origin) == ("first try", ("a", "b"), "p", "imported")
    assert (record.fingerprint, record.family) == ("f" * 64, "g" * 64)
    assert (record.created_at, record.started_at, record.finished_at) == (clock.now, None, None)
    assert (record.lease, record.attempts, record.seconds) == (0, 0, 0.0)


def test_a_run_without_a_name_is_named_after_its_network(store: RunStore) -> None:
    assert submit(store).name == "lenet5"


def test_children_of_a_run_are_found_by_fork_by_initial_weights_and_by_parent(store: RunStore) -> None:
    root = submit(store)
    ways = [
        {"config": CONFIG.replace(fork_of=root.id, fork_epoch=2)},
        {"config": CONFIG.replace(init_from=root.id)},
        {"parent": root.id},
    ]
    children = [
        store.queue.submit(**{"config": CONFIG, "fingerprint": f"child {n}", "family": "", **way})[0]
        for n, way in enumerate(ways)
    ]
    grandchild, _ = store.queue.submit(
        CONFIG.replace(fork_of=children[0].id, fork_epoch=3), fingerprint="grandchild", family=""
    )
    assert store.runs.find_children([root.id]) == tuple(children)
    assert store.runs.find_children([child.id for child in children]) == (grandchild,)
    assert store.runs.find_children([]) == ()
    store.removal.delete(children[0].id)
    assert store.runs.find_children([root.id]) == tuple(children[1:])


def test_a_queued_running_or_finished_run_is_the_cached_answer_for_its_fingerprint(store: RunStore, me: Owner) -> None:
    first = submit(store)
    assert store.queue.submit(CONFIG, fingerprint="f", family="g") == (first, True)
    running = store.leases.claim(slot="cpu", owner=me)
    assert running is not None
    assert store.queue.submit(CONFIG, fingerprint="f", family="g") == (running, True)
    finished = store.leases.finish(running.id, running.lease, state=RunState.FINISHED)
    assert store.queue.submit(CONFIG, fingerprint="f", family="g") == (finished, True)
    assert store.runs.count() == 1


@pytest.mark.parametrize("end", [RunState.STOPPED, RunState.PAUSED, RunState.FAILED, RunState.INTERRUPTED])
def test_a_run_that_ended_without_finishing_is_no_cached_answer(store: RunStore, me: Owner, end: RunState) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=end)
    again, cached = store.queue.submit(CONFIG, fingerprint="f", family="g")
    assert not cached
    assert again.id != run.id


def test_fresh_submits_a_new_run_that_is_no_cached_answer_itself(store: RunStore) -> None:
    first = submit(store)
    fresh, cached = store.queue.submit(CONFIG, fingerprint="f", family="g", fresh=True)
    assert not cached
    assert fresh.id != first.id
    assert store.queue.submit(CONFIG, fingerprint="f", family="g")[0].id == first.id


def test_sixteen_callers_at_once_get_one_run(store: RunStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: store.queue.submit(CONFIG, fingerprint="f", family="g"), range(16)))
    assert len({record.id for record, _ in answers}) == 1
    assert sorted(cached for _, cached in answers) == [False] + [True] * 15


def test_a_resumed_run_does_not_replace_a_newer_cached_answer(store: RunStore, me: Owner) -> None:
    old = claimed(store, me)
    store.leases.finish(old.id, old.lease, state=RunState.STOPPED)
    new = submit(store)
    assert store.leases.request(old.id, RunRequest.RUN).state is RunState.QUEUED
    assert store.queue.submit(CONFIG, fingerprint="f", family="g")[0].id == new.id


def test_a_run_is_found_by_id_by_prefix_of_its_id_and_by_name(store: RunStore) -> None:
    run = submit(store, name="my first")
    submit(store, "other", name="another")
    assert store.runs.resolve(run.id) == run
    assert store.runs.resolve(run.id[:8]) == run
    assert store.runs.resolve(" my first ") == run


def test_a_complete_name_takes_precedence_over_a_prefix_of_another_runs_id(store: RunStore) -> None:
    other = submit(store)
    named = submit(store, "b", name=other.id[:2])
    assert store.runs.resolve(other.id[:2]) == named
    assert store.runs.resolve(other.id[:11]) == other


def test_a_complete_id_takes_precedence_over_the_name_of_another_run(store: RunStore) -> None:
    first = submit(store)
    submit(store, "b", name=first.id)
    assert store.runs.resolve(first.id).id == first.id


def test_a_long_list_that_is_read_in_parts_is_complete_and_in_order(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_VALUES", 3)
    for count in range(1, 9):
        submit(store, str(count), name=str(count))
        names = [run.name for run in store.runs.list(order="number", limit=None)]
        assert names == [str(number) for number in range(1, count + 1)]


def test_text_that_matches_two_runs_or_none_is_refused_with_a_remedy(store: RunStore) -> None:
    first, second = submit(store, "a", name="twin"), submit(store, "b", name="twin")
    with pytest.raises(RunNotFoundError, match=f"'twin' matches more than one run .*({first.id}|{second.id})"):
        store.runs.resolve("twin")
    with pytest.raises(RunNotFoundError, match=r"no run with the id or name 'twim'. Did you mean 'twin'\?"):
        store.runs.resolve("twim")
    with pytest.raises(RunNotFoundError, match="no run with the id or name ''"):
        store.runs.resolve(" ")
    with pytest.raises(RunNotFoundError, match="no run with the id or name '%'"):
        store.runs.resolve("%")
    with pytest.raises(RunNotFoundError, match="There is no run 'nothing'"):
        store.runs.get("nothing")


def test_the_family_lists_finished_runs_longest_first(store: RunStore, me: Owner) -> None:
    made = []
    for epochs in (2, 5, 3):
        config = CONFIG.replace(epochs=epochs)
        store.queue.submit(config, fingerprint=f"f{epochs}", family="same")
        run = store.leases.claim(slot="cpu", owner=me)
        assert run is not None
        made.append(run)
        store.leases.finish(run.id, run.lease, state=RunState.STOPPED if epochs == 3 else RunState.FINISHED)
    assert [record.config.epochs for record in store.runs.find_family("same")] == [5, 2]
    assert store.runs.find_family("other") == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 201, "The name has 201 characters, but at most 200 fit"),
        ("a\x00b", r"control character U\+0000 \(NULL\)"),
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(store: RunStore, name: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        submit(store, name=name)
    assert store.runs.count() == 0

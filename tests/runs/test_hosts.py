"""Machines that join, are refused, drained and removed, and which runs each may claim."""

from dataclasses import replace

import pytest

from lab.errors import HostStateError, JoinRefusedError, StoreUnreachableError, StoreVersionError
from lab.runs.database import _IDLE_TRANSACTION_S
from lab.runs.expired import MAX_ATTEMPTS
from lab.runs.hosts import HostRecord, HostState, Release
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.row_changes import held_row
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S, SILENT_S
from lab.runs.run_logs import MAX_LINES
from lab.runs.shared_data import SharedDataset, SharedFile
from lab.runs.store import RunStore
from lab.runs.workers import WorkerRecord
from tests.runs.conftest import Clock
from tests.runs.runs_data import CONFIG, claimed, submit
from tests.waiting import wait_until

FAR = HostRecord("far pid:[1]", joined=True, engine=1, torch="2.11.0", boot="b1", slots=(("cpu", "cpu"),))
OWNER = Owner(FAR.host, 7, "b1:1")
RELEASE = Release(1, "2.11.0")


@pytest.fixture
def lab_store(store: RunStore) -> RunStore:
    """Return a store in which the lab has recorded its release."""
    store.hosts.set_release(RELEASE, host="lab pid:[1]")
    return store


def test_a_machine_of_the_same_release_joins_and_is_alive_until_it_falls_silent(
    lab_store: RunStore, clock: Clock
) -> None:
    lab_store.hosts.join(FAR)
    assert lab_store.hosts.find(FAR.host) == FAR
    assert lab_store.hosts.has_joined()
    clock.now += SILENT_S
    assert lab_store.hosts.find(FAR.host) == FAR
    clock.now += 1
    assert lab_store.hosts.find(FAR.host) == replace(FAR, alive=False)
    slots = [("cpu", "cpu"), ("cpu #2", "cpu")]
    renewed = lab_store.hosts.renew(FAR.host, slots=slots, lacks=["mnist"])
    assert renewed == replace(FAR, slots=tuple(slots), lacks=frozenset({"mnist"}))
    lab_store.hosts.join(replace(FAR, host="farther pid:[1]"))
    assert lab_store.hosts.renew(FAR.host, slots=slots, lacks=[]).machines == 2  # the lab's own machine is not counted
    assert lab_store.hosts.count_joined_slots() == 3
    lab_store.hosts.drain("farther pid:[1]")
    assert lab_store.hosts.count_joined_slots() == 2
    clock.now += SILENT_S + 1
    assert lab_store.hosts.count_joined_slots() == 0
    lab_store.hosts.leave(FAR.host)
    assert lab_store.hosts.find(FAR.host) is None


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        (Release(2, "2.11.0"), "ConvLab has engine 2 and the lab's has engine 1, which give different numbers"),
        (
            Release(1, "2.10.0"),
            "has torch 2.10.0 and the lab has torch 2.11.0, whose results differ in the last bits: install",
        ),
    ],
)
def test_a_machine_of_another_release_is_refused_and_listed_with_the_reason(
    lab_store: RunStore, release: Release, sentence: str
) -> None:
    other = replace(FAR, engine=release.engine, torch=release.torch)
    with pytest.raises(JoinRefusedError, match=sentence):
        lab_store.hosts.join(other)
    found = lab_store.hosts.find(FAR.host)
    assert found is not None
    assert found.state is HostState.REFUSED
    assert sentence in found.reason
    submit(lab_store)
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is None
    with pytest.raises(HostStateError, match="The host far is refused, so it takes no runs: let it join again first"):
        lab_store.hosts.drain(FAR.host)
    lab_store.hosts.join(FAR)  # after the right release was installed
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is not None


def test_an_updated_lab_refuses_the_machines_that_joined_before(lab_store: RunStore) -> None:
    lab_store.hosts.join(FAR)
    submit(lab_store)
    lab_store.hosts.set_release(Release(2, "2.11.0"), host="lab pid:[1]")
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is None
    assert lab_store.hosts.renew(FAR.host, slots=[], lacks=[]).state is HostState.REFUSED


def test_the_labs_own_machine_is_refused_because_it_does_not_need_to_join(lab_store: RunStore) -> None:
    with pytest.raises(JoinRefusedError, match="This machine belongs to the lab, so it does not need to join"):
        lab_store.hosts.join(replace(FAR, host="lab pid:[1]"))
    lab_store.hosts.remove("lab pid:[1]")
    lab_store.hosts.join(replace(FAR, host="lab pid:[1]"))


def test_two_live_machines_of_the_same_name_are_distinguished_by_their_boot_id(
    lab_store: RunStore, clock: Clock
) -> None:
    lab_store.hosts.join(FAR)
    with pytest.raises(JoinRefusedError, match="Another machine named 'far' already trains for this lab"):
        lab_store.hosts.join(replace(FAR, boot="b2"))
    lab_store.hosts.join(FAR)  # the same one again
    clock.now += SILENT_S + 1
    lab_store.hosts.join(replace(FAR, boot="b2"))  # restarted
    lab_store.workers.announce(WorkerRecord(Owner("ours", 1, "b1:5"), "cpu", "cpu", 1, 1))
    with pytest.raises(JoinRefusedError, match="Another machine named 'ours'"):
        lab_store.hosts.join(replace(FAR, host="ours", boot="b2"))


def test_a_drained_host_claims_nothing_until_it_is_undrained(store: RunStore, me: Owner) -> None:
    run = submit(store)
    store.hosts.drain(me.host)
    store.hosts.drain(me.host)
    assert store.leases.claim(slot="cpu", owner=me) is None
    store.hosts.undrain(me.host)
    assert store.hosts.find(me.host) is None
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    assert taken.id == run.id


def test_a_run_that_is_handed_back_keeps_its_place_in_the_queue(store: RunStore, me: Owner, clock: Clock) -> None:
    first = claimed(store, me, "a")
    clock.now += 1
    submit(store, "b")
    clock.now += 1
    back = store.leases.finish(first.id, first.lease, state=RunState.INTERRUPTED, fulfils=RunRequest.RUN, again=True)
    assert (back.state, back.reason, back.finished_at) == (RunState.QUEUED, "", None)
    assert next(run.id for run in store.queue.list()) == first.id
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    assert taken.id == first.id


def test_a_stop_requested_meanwhile_takes_precedence_over_handing_back(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.leases.request(run.id, RunRequest.STOP)
    ended = store.leases.finish(run.id, run.lease, state=RunState.INTERRUPTED, fulfils=RunRequest.RUN, again=True)
    assert ended.state is RunState.STOPPED


def test_a_removed_machine_is_not_listed_and_returns_by_joining_again(lab_store: RunStore) -> None:
    lab_store.hosts.join(FAR)
    lab_store.hosts.remove(FAR.host)
    submit(lab_store)
    assert FAR.host not in [host.host for host in lab_store.hosts.list()]
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is None
    assert lab_store.hosts.renew(FAR.host, slots=[], lacks=[]).state is HostState.REMOVED
    lab_store.hosts.readmit(FAR.host)  # for the lab's own machines only
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is None
    lab_store.hosts.join(FAR)
    assert lab_store.leases.claim(slot="cpu", owner=OWNER) is not None


def test_the_run_of_a_lost_joined_machine_is_queued_again_a_limited_number_of_times(
    lab_store: RunStore, clock: Clock
) -> None:
    lab_store.hosts.join(FAR)
    submit(lab_store)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        run = lab_store.leases.claim(slot="cpu", owner=OWNER)
        assert run is not None
        assert run.attempts == attempt
        clock.now += LEASE_S + FOREIGN_GRACE_S - 1
        assert lab_store.leases.recover() == []
        clock.now += 2
        assert lab_store.leases.recover() == [run.id]
        expected = RunState.QUEUED if attempt < MAX_ATTEMPTS else RunState.INTERRUPTED
        assert lab_store.runs.get(run.id).state is expected


def test_the_run_of_a_lost_machine_of_the_lab_itself_is_interrupted(store: RunStore, clock: Clock) -> None:
    run = claimed(store, OWNER)
    clock.now += LEASE_S + FOREIGN_GRACE_S + 1
    store.leases.recover()
    assert store.runs.get(run.id).state is RunState.INTERRUPTED


def test_runs_whose_data_set_a_machine_lacks_are_left_to_others(store: RunStore, me: Owner) -> None:
    submit(store, "a", config=CONFIG.replace(dataset="mnist"))
    second = submit(store, "b")
    assert store.queue.waiting_datasets() == {"mnist", "digits"}
    taken = store.leases.claim(slot="cpu", owner=me, lacks={"mnist"})
    assert taken is not None
    assert taken.id == second.id
    assert store.leases.claim(slot="cpu #2", owner=me, lacks={"mnist"}) is None


def test_a_published_data_set_replaces_an_earlier_one(store: RunStore) -> None:
    files = tuple(SharedFile(f"MNIST/raw/{name}", name * 32, 5) for name in ("ab", "cd"))
    store.shared_data.publish(SharedDataset("mnist", "1" * 64, files))
    assert store.shared_data.find("mnist") == SharedDataset("mnist", "1" * 64, files)
    store.shared_data.publish(SharedDataset("mnist", "2" * 64, files[:1]))
    assert store.shared_data.find("mnist") == SharedDataset("mnist", "2" * 64, files[:1])
    assert files[0].artifact == "datasets/" + "ab" * 32
    assert (store.shared_data.find("kmnist"), store.shared_data.names()) == (None, {"mnist"})


def test_a_log_is_cut_to_its_last_lines_and_removed_with_its_run(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.logs.write(run.id, host="far", lines=tuple(f"line {n}\x1b" for n in range(MAX_LINES + 5)))
    store.logs.add(run.id, "the end")
    log = store.logs.read(run.id)
    assert log is not None
    assert (log.host, len(log.lines), log.lines[-1]) == ("far", MAX_LINES, "the end")
    assert log.lines[0] == r"line 6\x1b"
    store.logs.add("another", "nothing")
    store.logs.write("gone", host="far", lines=("x",))
    store.logs.forget_removed()
    assert (store.logs.read("another"), store.logs.read("gone")) == (None, None)
    assert store.logs.read(run.id) == log


def test_a_machine_that_joins_never_migrates_the_labs_store(url: str, store: RunStore) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE lab_schema SET version = 3")
    with pytest.raises(StoreVersionError, match="The lab's store has schema 3 and this machine's ConvLab has schema"):
        RunStore.open(url, migrating=False)


def test_the_row_locks_of_a_client_lost_inside_a_transaction_are_released(postgres_store: str, clock: Clock) -> None:
    """As after a pulled cable: the server does not notice, and without its timeout the run could not be reassigned."""
    lost, other = (RunStore.open(postgres_store, clock=clock) for _ in range(2))
    run = claimed(lost, OWNER)
    clock.now += LEASE_S + FOREIGN_GRACE_S + 1

    def pause_inside_a_transaction() -> None:
        with lost.database.write() as connection:
            held_row(connection, run.id, run.lease)
            assert other.leases.recover() == []  # the row is locked
            limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()
            assert limit == f"{_IDLE_TRANSACTION_S:g}s"
            connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 1")
            wait_until(lambda: other.leases.recover() == [run.id])
            held_row(connection, run.id, run.lease)

    with pytest.raises(StoreUnreachableError, match="cannot be reached"):
        pause_inside_a_transaction()
    lost.close()
    other.close()

"""Leases and states are decided by the store's clock, so that hosts need not agree on the time.

`faketime` is not needed: a process is given another `time.time` before it imports the lab.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.runs.database import Moment
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.row_changes import sound_row
from lab.runs.rows import FOREIGN_GRACE_S, LEASE_S, derive
from lab.runs.store import RunStore
from tests.runs.runs_data import claimed

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = Owner(host="elsewhere", pid=1, pid_start="x")
_ON_ANOTHER_CLOCK = """
import json, sys, time
real = time.time
time.time = lambda: real() + float(sys.argv[2])
from lab.runs.owner import Owner
from lab.runs.store import RunStore
store = RunStore.open(sys.argv[1])
run = store.runs.list()[0]
recovered = store.leases.recover()
owner = Owner("elsewhere", 1, "x")
request = str(store.leases.heartbeat(run.id, run.lease))
print(json.dumps({"state": run.state, "responding": run.responding, "recovered": recovered, "request": request,
                  "ahead": store.now() - real()}))
store.close()
"""


@pytest.mark.parametrize("off_s", [-7_200.0, 7_200.0, 31_536_000.0])
def test_a_host_with_a_wrong_clock_reads_true_states_and_renews_leases_by_the_store_clock(
    postgres_store: str, off_s: float
) -> None:
    store = RunStore.open(postgres_store)
    run = claimed(store, FOREIGN)
    out = subprocess.run(
        [sys.executable, "-c", _ON_ANOTHER_CLOCK, postgres_store, str(off_s)], cwd=ROOT, capture_output=True, text=True
    )
    assert out.stderr == ""
    seen = json.loads(out.stdout)
    assert (seen["state"], seen["responding"], seen["recovered"]) == ("running", True, [])
    assert abs(seen["ahead"]) < 60
    with store.database.read() as connection:
        until = sound_row(connection, run.id).lease_until
    assert abs(until - time.time() - LEASE_S) < 60  # renewed by the server's clock, not for two hours more
    assert store.runs.get(run.id).responding
    assert store.leases.recover() == []
    store.close()


def test_times_of_a_run_come_from_one_clock_and_never_run_backwards(postgres_store: str) -> None:
    store = RunStore.open(postgres_store)
    run = claimed(store, FOREIGN)
    ended = store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.created_at <= ended.started_at <= ended.finished_at
    store.close()


def test_the_silence_of_another_host_is_counted_from_the_start_of_the_server(url: str) -> None:
    store = RunStore.open(url, clock=lambda: 1_000_000.0)
    run = claimed(store, FOREIGN)
    with store.database.read() as connection:
        row = sound_row(connection, run.id)
    long_after = 1_000_000.0 + 86_400
    assert derive(row, moment=Moment(long_after))[0] is RunState.INTERRUPTED
    back = Moment(long_after, up_since=long_after - LEASE_S)
    assert derive(row, moment=back) == (RunState.RUNNING, False)
    late = Moment(long_after, up_since=long_after - LEASE_S - FOREIGN_GRACE_S - 1)
    assert derive(row, moment=late)[0] is RunState.INTERRUPTED
    store.close()

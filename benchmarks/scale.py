"""What a full store costs on Postgres: 100,000 finished runs and 1,000 queued ones: `python -m benchmarks.scale`.

Starts a Postgres server of its own (or takes `--database`, whose store it fills). Times what a worker asks for (claim,
heartbeat, a host's sign of life), what a page asks for (25 runs with their count, the machines and who waits), and from
these how much of the server's time 1,000 workers would take. Prints the table for docs/benchmarks.md in milliseconds.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sqlalchemy import text

from benchmarks.generated_runs import drawn_row, random_config
from lab.config import RunConfig
from lab.runs import schema as tables
from lab.runs.hosts import HostRecord, Release
from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.runs.rows import RENEW_S
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import POLL_S
from lab.worker.supervisor.membership import ASK_S
from tests.postgres import started_server

PART = 1_000
WORKERS = 1_000
SEARCH = "arch:lenet* lr<0.01 tag:report-d state:finished"


def fill(store: RunStore, *, runs: int, queued: int) -> None:
    """Put finished runs past the store's doors, and queued ones through them."""
    draw = np.random.default_rng(0)
    for first in range(1, runs + 1, PART):
        numbers = range(first, min(first + PART, runs + 1))
        rows = [
            drawn_row(
                draw, random_config(draw, seed=number), number=number, steps=100, floor=float(draw.uniform(0.02, 0.3))
            )
            for number in numbers
        ]
        with store.database.write() as connection:
            connection.execute(tables.runs.insert(), rows)
    with store.database.write() as connection:
        connection.execute(text("SELECT setval('runs_number_seq', (SELECT max(number) FROM runs))"))
    for number in range(queued):
        store.queue.submit(RunConfig(dataset="digits", seed=number), fingerprint=f"q{number}", family="")
    with store.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def timed(work: Callable[[], object], *, repeats: int) -> list[float]:
    """Return how long each call took in milliseconds, after one that is not counted."""
    work()
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    return took


def line(label: str, took: list[float], goal_ms: float | None = None) -> str:
    """Return one line of the table."""
    goal = "" if goal_ms is None else f"≤ {goal_ms:g}"
    return f"| {label} | {len(took)} | {statistics.median(took):.1f} | {max(took):.1f} | {goal} |"


def measure(lab: Lab, repeats: int) -> Iterator[str]:
    """Time everything and yield the lines."""
    store, owner = lab.store, Owner("bench", 1, "x")
    claims = _claims(store, owner, repeats)
    yield line("claim the next run", claims, 20)
    run = store.leases.claim(slot="held", owner=owner)
    if run is None:
        raise RuntimeError("there is no queued run left to hold")
    held: RunRecord = run
    beats = timed(
        lambda: (store.leases.heartbeat(held.id, held.lease), store.hosts.accepts(owner.host)), repeats=repeats
    )
    yield line("heartbeat of a run", beats)
    idle = timed(lambda: store.leases.claim(slot="held", owner=owner), repeats=repeats)
    yield line("claim in a slot that is busy", idle)
    store.hosts.set_release(Release.of_this_machine(), host="lab")
    release = Release.of_this_machine()
    store.hosts.join(HostRecord("bench", joined=True, engine=release.engine, torch=release.torch))
    signs = timed(
        lambda: (store.hosts.renew("bench", slots=[("cpu", "cpu")], lacks=()), store.queue.waiting_datasets()),
        repeats=repeats,
    )
    yield line("a host's sign of life", signs)

    def page(where: str = "", order: str = "-created", offset: int = 0) -> None:
        store.runs.count(where=where)
        store.runs.list(where=where, order=order, limit=25, offset=offset, pinned_first=True)

    yield line("Runs: 25 newest and their count", timed(page, repeats=repeats), 100)
    yield line("Runs: 25 best and their count", timed(lambda: page(order="-test"), repeats=repeats), 100)
    yield line("Runs: page 300 of 4,000", timed(lambda: page(offset=300 * 25), repeats=repeats), 100)
    yield line(f"Runs: `{SEARCH}`", timed(lambda: page(SEARCH), repeats=repeats), 100)
    yield line("Machines: hosts and 200 live runs", timed(lambda: lab.machines.show(limit=200), repeats=repeats), 100)
    yield line("Train: the first 50 of the queue", timed(lambda: store.queue.list(limit=50), repeats=repeats), 100)
    yield _plan(statistics.median(beats), statistics.median(signs), statistics.median(idle), statistics.median(claims))


def _claims(store: RunStore, owner: Owner, repeats: int) -> list[float]:
    """Time claims alone; what was claimed goes back to its place."""
    took = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        run = store.leases.claim(slot="cpu", owner=owner)
        took.append(1000 * (time.perf_counter() - began))
        if run is None:
            raise RuntimeError(f"there was no run for claim {number}")
        store.leases.release(slot="cpu", owner=owner)
    return took[1:]


def _plan(beat_ms: float, sign_ms: float, idle_ms: float, claim_ms: float) -> str:
    """Say how many of the server's seconds each second of 1,000 workers takes, from what was measured here."""
    busy = WORKERS * beat_ms / RENEW_S / 1000 + WORKERS * sign_ms / ASK_S / 1000
    idle = WORKERS * idle_ms / POLL_S / 1000
    return (
        f"\n{WORKERS:,} workers that train take {busy:.2f} s of client and server time a second in heartbeats and signs of life; "
        f"{WORKERS:,} that wait would take {idle:.1f} s; one run a minute each, {WORKERS * claim_ms / 60_000:.2f} s in claims."
    )


@contextmanager
def store_url(given: str) -> Iterator[str]:
    """Give the address of an empty store on Postgres."""
    if given:
        yield given
        return
    with started_server() as server:
        yield server.new_database()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--queued", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--database", default="", help="an empty Postgres database instead of a server of its own")
    asked = parser.parse_args()
    with store_url(asked.database) as url, TemporaryDirectory() as home:
        lab = Lab(Settings.from_env({"LAB_HOME": str(Path(home)), "LAB_DATABASE": url, "LAB_DEVICE": "cpu"}))
        began = time.perf_counter()
        fill(lab.store, runs=asked.runs, queued=asked.queued)
        with lab.store.database.read() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
            size = int(connection.execute(text("SELECT pg_total_relation_size('runs')")).scalar_one()) / 1e6
        print(
            f"{asked.runs:,} finished runs and {asked.queued:,} queued ones, {size:,.0f} MB, made in "
            f"{time.perf_counter() - began:.0f} s; {platform.machine()}, {os.cpu_count()} cores, Postgres {version}, load "
            f"{os.getloadavg()[0]:.0f}; milliseconds by the clock\n"
        )
        print("| what | n | median | slowest | goal |\n|---|---:|---:|---:|---:|")
        for words in measure(lab, asked.repeats):
            print(words, flush=True)
        lab.store.close()


if __name__ == "__main__":
    main()

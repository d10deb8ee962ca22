"""Cost of a full store on Postgres, with 100,000 finished runs and 1,000 queued ones: `python -m benchmarks.scale`.

Starts a temporary Postgres server (or uses `--database`, whose store it fills). Times the queries of workers (claim,
heartbeat, points, a host's sign of life) and of pages (25 runs with their count, the machines and what waits), and
computes from these the load of 1,000 workers at the intervals at which that many poll (`lab.runs.pace`). Prints the
table for docs/benchmarks.md: processor time (of this process and the server together, which does not depend on other
processes) and wall-clock time.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import psutil
from sqlalchemy import text

from benchmarks.generated_runs import drawn_row, random_config
from benchmarks.markdown_tables import heading, row
from lab.config import RunConfig
from lab.runs import pace, tables
from lab.runs.hosts import HostRecord, Release
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, Series
from lab.runs.rows import RENEW_S
from lab.runs.store import RunStore
from lab.runs.workers import SEEN_S, WorkerRecord
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.heartbeat import COUNT_EVERY, REQUEST_POLL_S
from lab.worker.loop import POLL_S
from lab.worker.recorder import FLUSH_S
from lab.worker.supervisor.membership import ASK_S, MAX_ASK_S
from lab.worker.training_pace import TrainingPace
from tests.postgres import started_server

PART = 1_000  # generated rows; the others are copies of them with other names, times and results
WORKERS = 1_000
TRAINING = 1_000
STEPS = 100  # steps in one flush of points, with loss and accuracy for each
SEARCH = "arch:lenet* lr<0.01 tag:report-d state:finished"
SETTING = "lr<0.0002"  # reads the configuration of every run
_CURVES = (
    *("batch/accuracy", "batch/loss", "grad_norm", "images_per_second", "lr", "memory_mb"),
    *(f"{split}/{metric}" for split in ("train", "val", "test") for metric in ("accuracy", "loss")),
)
# From a run of LeNet-5, as written by its worker.
_PROGRESS = """{"device": "cpu", "epoch": 10, "epochs": 10, "eta_seconds": 0.0, "images_per_second": 2511.5651086894163,
"phase": "training", "total_steps": 100}"""
_SUMMARY = """{"epoch": 10, "final_epoch": 10, "outcome": "finished", "seconds": 3.1647203680040548, "step": 100, "steps": 100,
"train_accuracy": 1.0, "train_seconds": 1.1144120679819025}"""
_ENVIRONMENT = """{"cores": 2, "device": "cpu", "matmul": "highest", "name": "AMD EPYC", "normalization": [0.30463752260292154,
0.32437700764932664], "params": 61706, "platform": "Linux-6.18.44-x86_64-with-glibc2.36", "python": "3.11.7",
"steps": "launched", "test_images": 359, "test_largest_class": 0.10306406685236769, "threads": 1, "torch": "2.14.1+cu130",
"train_images": 1294, "train_largest_class": 0.10355486862442041, "val_images": 144, "val_largest_class": 0.13194444444444445}"""


class Took(NamedTuple):
    """Milliseconds of each call by the wall clock, and the mean processor time of all calls, here and in the server."""

    wall_ms: list[float]
    cpu_ms: float


def fill(store: RunStore, *, runs: int, queued: int) -> None:
    """Write finished runs, copies of a few generated ones, directly into the tables, and queue others regularly."""
    draw = np.random.default_rng(0)
    made = min(PART, runs)
    rows = [_made_up_row(draw, number) for number in range(1, made + 1)]
    changed = {
        "number": f"number + {made} * copy",
        "id": "substr(md5(number || '-' || copy), 1, 12)",
        "name": f"'sweep ' || (number + {made} * copy)",
        "fingerprint": "md5(number || 'a' || copy) || md5(number || 'b' || copy)",
        "family": "md5(number || 'c' || copy) || md5(number || 'd' || copy)",
        "test_accuracy": "test_accuracy - 0.00001 * copy",
        **{
            name: f"{name} + 100.0 * {made} * copy" for name in ("created_at", "queued_at", "started_at", "finished_at")
        },
    }
    names = [column.name for column in tables.runs.columns]
    copied = ", ".join(changed.get(name, name) for name in names)
    with store.database.write() as connection:
        connection.execute(tables.runs.insert(), rows)
        connection.execute(
            text(  # the names are those of our own table
                f"INSERT INTO runs ({', '.join(names)}) SELECT {copied} FROM runs, generate_series(1, :copies) AS copy"
            ),
            {"copies": -(-runs // made) - 1},
        )
        connection.execute(text("SELECT setval('runs_number_seq', (SELECT max(number) FROM runs))"))
    for number in range(queued):
        store.queue.submit(RunConfig(dataset="digits", seed=number), fingerprint=f"q{number}", family="")
    with store.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _made_up_row(draw: np.random.Generator, number: int) -> dict[str, Any]:
    """Return a finished run's row of realistic length: the other columns affect how the configuration is stored."""
    config, floor = random_config(draw, seed=number), float(draw.uniform(0.02, 0.3))
    made = drawn_row(draw, config, number=number, steps=100, floor=floor)
    latest = {name: float(draw.uniform()) for name in _CURVES}
    answers = [[digit, round(float(draw.uniform()), 4)] for digit in range(10)]
    made["progress"] |= {**json.loads(_PROGRESS), "answers": answers, "latest": latest, "seconds": made["seconds"]}
    made["summary"] |= json.loads(_SUMMARY) | {"epochs": config.epochs, "train_loss": floor}
    made["environment"] = json.loads(_ENVIRONMENT)
    made["sums"] = {name: draw.bytes(16).hex() for name in ("files", *[f"points/{curve}" for curve in _CURVES])}
    return made | {name: draw.bytes(32).hex() for name in ("fingerprint", "family")}


class Clock:
    """Times calls. server: id of a Postgres process, whose processor time counts with its children's; 0 for none."""

    def __init__(self, repeats: int, server: int) -> None:
        self.repeats, self._server = repeats, server

    def timed(self, work: Callable[[], object], *, after: Callable[[], object] = lambda: None) -> Took:
        """Return the times of calls, after a first one that is not counted. after: called twice, not timed."""
        work()
        after()
        wall, began = [], self._processor_s()
        for _ in range(self.repeats):
            since = time.perf_counter()
            work()
            wall.append(1000 * (time.perf_counter() - since))
        cpu = self._processor_s() - began
        after()
        return Took(wall, 1000 * cpu / self.repeats)

    def _processor_s(self) -> float:
        total = time.process_time()
        if self._server:
            process = psutil.Process(self._server)
            for one in (process, *process.children()):
                with suppress(psutil.NoSuchProcess):
                    used = one.cpu_times()
                    total += used.user + used.system
            # Children that have ended: parallel queries use server processes that live for one statement.
            total += process.cpu_times().children_user + process.cpu_times().children_system
        return total


def line(label: str, took: Took, target_ms: float | None = None) -> str:
    """Return one line of the table."""
    target = "" if target_ms is None else f"≤ {target_ms:g}"
    figures = (took.cpu_ms, statistics.median(took.wall_ms), max(took.wall_ms))
    return row(label, len(took.wall_ms), *(f"{figure:.1f}" for figure in figures), target)


def measure(lab: Lab, clock: Clock) -> Iterator[str]:
    """Yield the lines of the table."""
    store, owner = lab.store, Owner("bench", 1, "x")
    slots = iter(range(10 * clock.repeats))
    claims = clock.timed(lambda: store.leases.claim(slot=f"slot {next(slots)}", owner=owner))
    yield line("claim the next run", claims, 20)
    run = store.leases.claim(slot="held", owner=owner)
    if run is None:
        raise RuntimeError("there is no queued run left to hold")
    held: RunRecord = run

    def beat() -> None:
        store.leases.heartbeat(held.id, held.lease)
        store.hosts.find(owner.host)
        lab.store.sweeps.is_over_budget(held.id)

    beats = clock.timed(beat)
    yield line("heartbeat of a run", beats)
    counts = clock.timed(store.queue.count_running)
    yield line("count of the runs in training", counts)
    requests = clock.timed(lambda: store.leases.requested(held.id))
    yield line("whether a run is to stop", requests)
    flushed = iter(range(0, 10 * STEPS * clock.repeats, STEPS))

    def flush() -> None:
        first = next(flushed)
        step, value = np.arange(first, first + STEPS), np.ones(STEPS)
        points = {name: Series(name, step, value, value) for name in ("batch/loss", "batch/accuracy")}
        store.points.append(held.id, held.lease, points, progress={"step": first})

    flushes = clock.timed(flush)
    yield line(f"{2 * STEPS} points", flushes)
    waiting = WorkerRecord(owner, "idle", "cpu", 1, 1)
    announced = clock.timed(lambda: store.workers.announce(waiting))
    yield line("a waiting worker's sign of life", announced)
    _train_elsewhere(store)
    idle = clock.timed(lambda: (lab.sweeps.advance_due(), store.leases.claim(slot="held", owner=owner)))
    yield line(f"a look that finds nothing, beside {TRAINING:,} runs in training", idle)
    yield line(
        f"claim beside {TRAINING:,} runs in training",
        clock.timed(lambda: store.leases.claim(slot=f"slot {next(slots)}", owner=owner)),
        20,
    )
    _end_elsewhere(store)
    release = Release.of_this_machine()
    store.hosts.set_release(release, host="lab")
    store.hosts.join(HostRecord("far", joined=True, engine=release.engine, torch=release.torch))
    signs = clock.timed(
        lambda: (store.hosts.renew("far", slots=[("cpu", "cpu")], lacks=()), store.queue.waiting_datasets())
    )
    yield line("a host's sign of life", signs)

    def page(where: str = "", order: str = "-created", offset: int = 0) -> None:
        store.runs.page(where=where, order=order, limit=25, offset=offset, pinned_first=True)

    yield line("Runs: 25 newest and their count", clock.timed(page), 100)
    yield line("Runs: 25 best and their count", clock.timed(lambda: page(order="-test")), 100)
    yield line("Runs: page 300 of 4,000", clock.timed(lambda: page(offset=300 * 25)), 100)
    yield line(f"Runs: `{SEARCH}`", clock.timed(lambda: page(SEARCH)), 100)
    yield line(f"Runs: `{SETTING}`", clock.timed(lambda: page(SETTING)))
    looks = clock.timed(lambda: (lab.machines.show(limit=20), store.queue.count_queued()))
    yield line("Machines: hosts and the first 20 that wait", looks, 100)
    yield line("Train: the first 50 of the queue", clock.timed(lambda: store.queue.list(limit=50)), 100)
    together = TrainingPace(WORKERS)
    sign_s = pace.interval_s(ASK_S, askers=WORKERS, a_second=pace.SIGNS_A_SECOND, most_s=MAX_ASK_S)
    look_s = pace.interval_s(POLL_S, askers=WORKERS, a_second=pace.LOOKS_A_SECOND)
    every = {
        "heartbeats": (beats.cpu_ms + counts.cpu_ms / COUNT_EVERY) / RENEW_S,
        "requests": requests.cpu_ms / together.request_s(REQUEST_POLL_S),
        "points": flushes.cpu_ms / together.flush_s(FLUSH_S),
        "signs of life of as many machines": signs.cpu_ms / sign_s,
    }
    yield (
        f"\nProcessor seconds a second, here and in the server, computed from these. {WORKERS:,} workers that train: "
        + ", ".join(f"{what} {WORKERS * ms / 1000:.1f}" for what, ms in every.items())
        + f"; {WORKERS:,} that wait: looks {WORKERS * idle.cpu_ms / look_s / 1000:.2f}, signs of life "
        f"{WORKERS * announced.cpu_ms / SEEN_S / 1000:.2f}; one run a minute for each: "
        f"{WORKERS * claims.cpu_ms / 60_000:.2f}."
    )


def _train_elsewhere(store: RunStore) -> None:
    """Set runs to be in training on as many other hosts, by changing their rows directly."""
    with store.database.write() as connection:
        connection.execute(
            text(
                "UPDATE runs SET state = 'running', host = 'host ' || number, slot = 'cpu', "
                "lease_until = extract(epoch FROM now()) + 35 WHERE number IN "
                "(SELECT number FROM runs WHERE state = 'finished' ORDER BY number LIMIT :training)"
            ),
            {"training": TRAINING},
        )


def _end_elsewhere(store: RunStore) -> None:
    with store.database.write() as connection:
        connection.execute(text("UPDATE runs SET state = 'finished' WHERE host LIKE 'host %'"))


@contextmanager
def store_url(given: str) -> Iterator[tuple[str, int]]:
    """Yield the address of an empty store on Postgres, and the id of its server process, 0 for a given database."""
    if given:
        yield given, 0
        return
    with started_server() as server:
        yield server.new_database(), server.pid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--queued", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--database", default="", help="an empty Postgres database instead of a temporary server")
    asked = parser.parse_args()
    with store_url(asked.database) as (url, server), TemporaryDirectory(ignore_cleanup_errors=True) as home:
        lab = Lab(Settings.from_env({"LAB_HOME": str(Path(home)), "LAB_DATABASE": url, "LAB_DEVICE": "cpu"}))
        began = time.perf_counter()
        fill(lab.store, runs=asked.runs, queued=asked.queued)
        with lab.store.database.read() as connection:
            version = connection.execute(text("SHOW server_version")).scalar_one()
            size = int(connection.execute(text("SELECT pg_total_relation_size('runs')")).scalar_one()) / 1e6
        print(
            f"{asked.runs:,} finished runs and {asked.queued:,} queued ones, {size:,.0f} MB, generated in "
            f"{time.perf_counter() - began:.0f} s; {platform.machine()}, {os.cpu_count()} cores, Postgres {version}, "
            f"load {os.getloadavg()[0]:.0f}; milliseconds\n"
        )
        times = ("processor time, mean ms", "wall-clock time, median ms", "wall-clock time, slowest")
        print(heading("operation", "n", *times, "target"))
        for words in measure(lab, Clock(asked.repeats, server)):
            print(words, flush=True)
        lab.store.close()


if __name__ == "__main__":
    main()

"""Cost of the fair queue: `python -m benchmarks.queue [--queued 1000] [--owners 1 10 100] [--postgres] [--repeats 50]`.

Queues runs of several owners and priorities, then measures the median time of a claim (finishing the claimed run and
queueing a new one, which keeps the queue's length, are not timed), of listing the first 6 and all, and of a move past
other owners, in milliseconds of processor time of this process and of wall-clock time. The store is an SQLite file in a
temporary folder, or a temporary Postgres server. Prints rows for docs/benchmarks.md.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.markdown_tables import heading, row
from lab.config import RunConfig
from lab.runs.ids import new_id
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore
from tests.postgres import started_server

_PRIORITIES = (0, 0, 0, 0, 1)
_SHOWN = 6  # on the page Train


@contextmanager
def opened_store(*, postgres: bool) -> Iterator[RunStore]:
    """Yield an empty store that is deleted afterwards."""
    if postgres:
        with started_server() as server:
            store = RunStore.open(server.url)
            yield store
            store.close()
        return
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore.open(f"sqlite:///{folder}/lab.db")
        yield store
        store.close()


def fill(store: RunStore, queued: int, owners: int) -> Callable[[], str]:
    """Queue `queued` runs; return a function that queues one more and returns its id."""
    counter = itertools.count()

    def one() -> str:
        number = next(counter)
        owner, priority = f"owner {number % owners}", _PRIORITIES[number % len(_PRIORITIES)]
        config = RunConfig(dataset="digits", seed=number)
        run, _ = store.queue.submit(config, fingerprint=new_id(), family="", owner=owner, priority=priority)
        return run.id

    for _ in range(queued):
        one()
    return one


class Stopwatch:
    """The times of each kind of call: (processor, wall clock) in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {}

    def time(self, what: str, act: Callable[[], RunRecord | object]) -> RunRecord | object:
        """Time a call and return its result."""
        processor, clock = time.process_time(), time.perf_counter()
        answer = act()
        spent = 1_000 * (time.process_time() - processor), 1_000 * (time.perf_counter() - clock)
        self.times.setdefault(what, []).append(spent)
        return answer


def measure(store: RunStore, *, queued: int, owners: int, repeats: int) -> Stopwatch:
    """Return the times of every kind of call."""
    one, me, watch = fill(store, queued, owners), Owner.of_this_process(), Stopwatch()
    for _ in range(repeats):
        run = watch.time("claim", partial(store.leases.claim, slot="cpu", owner=me))
        assert isinstance(run, RunRecord)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
        one()
        watch.time(f"list of the first {_SHOWN}", partial(store.queue.list, limit=_SHOWN))
    for _ in range(max(3, repeats // 10)):
        watch.time("list of all", store.queue.list)
        watch.time("move to the front", partial(store.queue.move, one(), Move.FRONT))
    return watch


def main() -> None:
    """Print one row for each number of owners and kind of call."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--queued", type=int, default=1_000)
    parser.add_argument("--owners", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--postgres", action="store_true", help="a temporary server instead of an SQLite file")
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    print(f"{arguments.queued:,} queued runs; milliseconds\n")
    times_ms = ("processor time, median", "wall-clock time, median", "wall-clock time, slowest")
    print(heading("operation", "owners", "n", *times_ms))
    for owners in arguments.owners:
        with opened_store(postgres=arguments.postgres) as store:
            watch = measure(store, queued=arguments.queued, owners=owners, repeats=arguments.repeats)
        for what, times in watch.times.items():
            processor, clock = ([time[kind] for time in times] for kind in (0, 1))
            figures = (statistics.median(processor), statistics.median(clock), max(clock))
            print(row(what, owners, len(times), *(f"{figure:.1f}" for figure in figures)), flush=True)


if __name__ == "__main__":
    main()

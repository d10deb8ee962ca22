"""What the fair queue costs: `python -m benchmarks.queue [--queued 1000] [--owners 1 10 100] [--database URL] [--repeats 50]`.

Queues runs of several owners and priorities, then takes the median time of a claim (with the end of the claimed run and one new
run outside the clock, so that as many wait each time), of the page's list of the first 6 and of all, and of a move past other owners.
Without --database the store is an SQLite file in a temporary folder; a database given has to be empty, and stays filled.
"""

import argparse
import itertools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

from lab.config import RunConfig
from lab.runs.identity import new_run_id
from lab.runs.owner import Owner
from lab.runs.queue_moves import Move
from lab.runs.records import RunState
from lab.runs.store import RunStore

_PRIORITIES = (0, 0, 0, 0, 1)
_SHOWN = 6  # on the page Train


def fill(store: RunStore, queued: int, owners: int) -> Callable[[], str]:
    """Queue so many runs; return what queues one more and returns its id."""
    counter = itertools.count()

    def one() -> str:
        number = next(counter)
        key = new_run_id()
        owner, priority = f"owner {number % owners}", _PRIORITIES[number % len(_PRIORITIES)]
        config = RunConfig(dataset="digits", seed=number)
        run, _ = store.queue.submit(config, fingerprint=key, family="", owner=owner, priority=priority)
        return run.id

    for _ in range(queued):
        one()
    return one


def milliseconds(act: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    act()
    return 1_000 * (time.perf_counter() - began)


def measure(store: RunStore, *, queued: int, owners: int, repeats: int) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of call."""
    one, me = fill(store, queued, owners), Owner.of_this_process()
    times: dict[str, list[float]] = {"claim": [], f"list {_SHOWN}": [], "list all": [], "move": []}
    for _ in range(repeats):
        began = time.perf_counter()
        run = store.leases.claim(slot="cpu", owner=me)
        times["claim"].append(1_000 * (time.perf_counter() - began))
        if run is None:
            raise SystemExit("The queue was empty: give a database that nobody else uses.")
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
        one()
        times[f"list {_SHOWN}"].append(milliseconds(lambda: store.queue.list(limit=_SHOWN)))
    for _ in range(max(3, repeats // 10)):
        times["list all"].append(milliseconds(store.queue.list))
        times["move"].append(milliseconds(partial(store.queue.move, one(), Move.FRONT)))
    return times


def main() -> None:
    """Print one line a number of owners and kind of call."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--queued", type=int, default=1_000)
    parser.add_argument("--owners", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--database", default="")
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {arguments.queued} queued, median (slowest) of n")
    for owners in arguments.owners:
        with tempfile.TemporaryDirectory() as folder:
            store = RunStore.open(arguments.database or f"sqlite:///{folder}/lab.db")
            store.queue.stop_all()
            times = measure(store, queued=arguments.queued, owners=owners, repeats=arguments.repeats)
            store.close()
        for name, found in times.items():
            middle, worst = statistics.median(found), max(found)
            print(f"{owners:>4} owners  {name:<8} {middle:7.1f} ms ({worst:.1f})  n = {len(found)}")


if __name__ == "__main__":
    main()

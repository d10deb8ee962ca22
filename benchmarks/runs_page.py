"""Speed of the Runs page with 10,000 synthetic runs with metrics, on disk: `python -m benchmarks.runs_page`.

Times the page's queries to the store (count, one page of 25, searches, sorts), the overlay of ten runs from the points
to the figure's JSON, one run with a million points, and the page's whole script (Streamlit's AppTest, no browser).
Prints the table for docs/benchmarks.md in milliseconds of wall-clock and processor time.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from streamlit.testing.v1 import AppTest

from benchmarks.generated_runs import fill
from benchmarks.markdown_tables import heading, row
from lab.charts.overlay import OverlayInfo, OverlayOptions, RunCurves, overlay_info
from lab.charts.overlay_figure import overlay_figure
from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, Series
from lab.runs.store import RunStore

ENTRY = Path(__file__).resolve().parent.parent / "pages" / "entry.py"
SEARCHES = {
    "newest first": ("", "-created", 0),
    "page 300 of 400": ("", "-created", 300 * 25),
    "`arch:lenet* lr<0.01 tag:report-d state:finished`": (
        "arch:lenet* lr<0.01 tag:report-d state:finished",
        "-test",
        0,
    ),
    "a word: `sweep 77`": ("sweep 77", "-created", 0),
    "`-arch:vgg* batch_size:16,32 test>99%`": ("-arch:vgg* batch_size:16,32 test>99%", "-speed", 0),
    "sorted by a setting (lr)": ("", "lr", 0),
}
MILLION = 1_000_000


class Took(NamedTuple):
    """One call, in milliseconds: wall clock, and processor time (which does not depend on other processes)."""

    wall: float
    cpu: float


def timed(work: Callable[[], object], *, repeats: int) -> list[Took]:
    """Return the time of each call, after a first one that is not counted."""
    work()
    took = []
    for _ in range(repeats):
        began, spent = time.perf_counter(), time.process_time()
        work()
        took.append(Took(1000 * (time.perf_counter() - began), 1000 * (time.process_time() - spent)))
    return took


def line(label: str, took: list[Took]) -> str:
    """Return one line of the table."""
    cpu = statistics.median(one.cpu for one in took)
    wall = [one.wall for one in took]
    return row(label, len(took), *(f"{figure:,.0f}" for figure in (cpu, statistics.median(wall), max(wall))))


def measure_table(store: RunStore, repeats: int) -> Iterator[str]:
    """Yield lines for one page of every search, and for counts."""
    for label, (where, order, offset) in SEARCHES.items():

        def ask(where: str = where, order: str = order, offset: int = offset) -> None:
            store.runs.list(where=where, order=order, limit=25, offset=offset, pinned_first=True)

        yield line(f"25 runs: {label}", timed(ask, repeats=repeats))
    some = SEARCHES["`arch:lenet* lr<0.01 tag:report-d state:finished`"][0]
    yield line("count of all runs", timed(store.runs.count, repeats=repeats))
    yield line("count of that search", timed(lambda: store.runs.count(where=some), repeats=repeats))
    (newest,) = store.runs.list(limit=1)
    yield line("what came from a run", timed(lambda: store.runs.find_children([newest.id]), repeats=repeats))


def overlay_json(curves: list[RunCurves]) -> OverlayInfo:
    """Do what the page does for one chart after reading the points."""
    info = overlay_info(curves, OverlayOptions())
    overlay_figure(info).to_json()
    return info


def measure_overlay(store: RunStore, repeats: int) -> Iterator[str]:
    """Yield lines for ten runs and for one run of a million points, from the database to the figure."""
    runs = store.runs.list(limit=10, offset=100)
    yield line("points of 10 runs from the database", timed(lambda: _curves(store, runs), repeats=repeats))
    curves = _curves(store, runs)
    yield line("overlay of 10 runs, smoothed, to JSON", timed(lambda: overlay_json(curves), repeats=repeats))
    long = _long_run(store)
    yield line("1,000,000 points from the database", timed(lambda: _curves(store, (long,)), repeats=3))
    curves = _curves(store, (long,))
    yield line("overlay of 1,000,000 points, to JSON", timed(lambda: overlay_json(curves), repeats=repeats))


def _curves(store: RunStore, runs: tuple[RunRecord, ...]) -> list[RunCurves]:
    return [RunCurves(run, store.points.read(run.id)) for run in runs]


def _long_run(store: RunStore) -> RunRecord:
    store.queue.submit(RunConfig(), fingerprint="long", family="", name="a million steps")
    run = store.leases.claim(slot="benchmark", owner=Owner.of_this_process())
    if run is None:
        raise RuntimeError("a worker took the benchmark's run")
    for first in range(0, MILLION, 100_000):
        step = np.arange(first, first + 100_000)
        value = 1 / (1 + step / 1e4) + 0.01 * np.random.default_rng(first).standard_normal(step.size)
        store.points.append(run.id, run.lease, {"batch/loss": Series("batch/loss", step, value, step * 0.001)})
    return store.runs.get(run.id)


def measure_page(store: RunStore, repeats: int) -> Iterator[str]:
    """Yield lines for reruns of the whole page, as caused by a click."""
    chosen = ".".join(run.id for run in store.runs.list(limit=10, offset=100))
    for label, address in (("table only", {}), ("table and 10 runs overlaid (2 charts)", {"runs": chosen})):
        app = AppTest.from_file(str(ENTRY), default_timeout=120)
        app.run()
        for name, value in address.items():
            app.query_params[name] = value
        app.switch_page("runs/page.py").run()
        yield line(f"the page's script: {label}", timed(app.run, repeats=repeats))


@contextmanager
def store_of(runs: int, steps: int) -> Iterator[RunStore]:
    """Yield a store of synthetic runs in a temporary home, which the page finds through the environment."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["LAB_HOME"] = home
        store = RunStore.open(f"sqlite:///{home}/lab.db")
        began = time.perf_counter()
        fill(store, runs=runs, steps=steps)
        size = Path(home, "lab.db").stat().st_size / 1e6
        print(f"{runs:,} runs of {steps} steps, {size:,.0f} MB, generated in {time.perf_counter() - began:.0f} s\n")
        yield store


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=20)
    asked = parser.parse_args()
    with store_of(asked.runs, asked.steps) as store:
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, SQLite {sqlite3.sqlite_version}, "
            f"load {os.getloadavg()[0]:.0f}; milliseconds\n"
        )
        times = ("processor time, median", "wall-clock time, median", "wall-clock time, slowest")
        print(heading("operation", "n", *times))
        for part in (measure_table, measure_overlay, measure_page):
            for words in part(store, asked.repeats):
                print(words, flush=True)


if __name__ == "__main__":
    main()

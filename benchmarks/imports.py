"""How long a training waits while a bundle is imported: `python -m benchmarks.imports [--points N] [--runs N]`.

A separate process appends points under its lease every 50 ms, as a worker does, while this one imports. Prints the
longest write transaction of the import, the longest wait and the refused writes of the training, and the growth of the
importing process's memory. `--siblings` measures the store's other long writes (purging, copying a history, rewinding)
and long reads in the same way.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import safetensors.numpy

from benchmarks.markdown_tables import heading, row
from lab.config import RunConfig
from lab.runs import throttled_writer
from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState, Series
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.bundle.layout import COLUMNS, FORMAT, MANIFEST, VERSION, VOLATILE, points_name
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle

CHECKOUT = Path(__file__).resolve().parents[1]
EVERY_S = 0.05
_SERIES = ("batch/loss", "batch/accuracy", "train/loss")
_WRITER = """
import json, sys, time
import numpy as np
from lab.runs.records import Series
from lab.runs.store import RunStore
from lab.errors import StoreBusyError
url, run, lease = sys.argv[1], sys.argv[2], int(sys.argv[3])
store, waits, refused, step = RunStore.open(url), [], 0, 0
print("ready", flush=True)
import select
while not select.select([sys.stdin], [], [], 0)[0]:
    step += 1
    one = Series("batch/loss", np.array([step]), np.array([0.5]), np.array([step * 0.05]))
    start = time.perf_counter()
    try:
        store.points.append(run, lease, {"batch/loss": one}, progress={"step": step})
    except StoreBusyError:
        refused += 1
    waits.append(time.perf_counter() - start)
    time.sleep(max(0.0, 0.05 - waits[-1]))
print(json.dumps({"waits": waits, "refused": refused, "steps": step, "stored": store.points.read(run)["batch/loss"].step.size}))
"""


def open_lab(home: Path, database: str = "") -> Lab:
    """Return a lab in this home, with an SQLite store unless a database is given."""
    url = database or f"sqlite:///{home / 'lab.db'}"
    return Lab(Settings(home=home, data=home / "data", database=url, artifacts=str(home / "artifacts"), device="cpu"))


def bundle_of(points: int, runs: int) -> bytes:
    """Return a bundle with `points` points in all, compressed as strongly as an attacker would."""
    each = points // runs
    with tempfile.TemporaryDirectory() as folder:
        lab = open_lab(Path(folder))
        ended = [_ended(seed) for seed in range(runs)]
        honest = write_bundle(lab, lab.store.imports.insert(ended))
    files = {}
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        for name in archive.namelist():
            files[name] = archive.read(name)
    for index in range(runs):
        files[points_name(index)] = _curves(each)
    rest = {name: data for name, data in files.items() if name != MANIFEST}
    listed = [{"name": n, "bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in rest.items()]
    manifest = {"format": FORMAT, "version": VERSION, "files": listed, VOLATILE: {}}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in {MANIFEST: json.dumps(manifest).encode(), **rest}.items():
            out.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _ended(seed: int) -> EndedRun:
    one = Series("batch/loss", np.array([1]), np.array([0.5]), np.array([0.1]))
    return EndedRun(
        id=new_id(),
        name=f"large {seed}",
        config=RunConfig(dataset="digits", seed=seed),
        fingerprint=f"{seed:064x}",
        state=RunState.FINISHED,
        reason="",
        created_at=1.7e9,
        started_at=1.7e9,
        finished_at=1.7e9,
        seconds=5.0,
        device="cpu",
        note="",
        tags=(),
        notices=(),
        points={"batch/loss": one},
        files=(),
    )


def _curves(points: int) -> bytes:
    count = points // len(_SERIES)
    columns = {
        "step": np.arange(1, count + 1),
        "value": np.full(count, 0.5),
        "time_s": np.floor(np.arange(count) / 100.0),
    }
    arrays = {
        f"{name}:{column}": np.ascontiguousarray(columns[column], dtype=dtype)
        for name in _SERIES
        for column, (_, dtype) in COLUMNS.items()
    }
    return safetensors.numpy.save(arrays)


class Observed:
    """What a concurrent training has observed during some work."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.refused = self.lost = 0
        self.seconds = self.grown_mb = self.longest_lock_s = self.longest_cpu_s = 0.0


@contextmanager
def training_beside(lab: Lab) -> Iterator[Observed]:
    """Train in a separate process; record this process's memory and write locks. The result is complete at the end."""
    seen = Observed()
    lab.store.queue.submit(RunConfig(dataset="digits"), fingerprint=new_id(), family=new_id(), fresh=True)
    run = lab.store.leases.claim(slot=f"bench-{new_id()}", owner=Owner.of_this_process())
    assert run is not None
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, lab.settings.database, run.id, str(run.lease)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    over = threading.Event()
    watcher = threading.Thread(target=_watch_memory, args=(seen, over))
    watcher.start()
    start = time.perf_counter()
    with locks_measured(seen):
        yield seen
    seen.seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    result = json.loads(writer.communicate("stop\n")[0])
    seen.waits, seen.refused, seen.lost = result["waits"], result["refused"], result["steps"] - result["stored"]
    lab.store.leases.finish(run.id, run.lease, state=RunState.FINISHED)


def _watch_memory(seen: Observed, over: threading.Event) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    while not over.wait(0.02):
        seen.grown_mb = max(seen.grown_mb, (process.memory_info().rss - before) / 1e6)


@contextmanager
def locks_measured(seen: Observed) -> Iterator[None]:
    """Record the longest transaction of all throttled writes within the context."""
    made = throttled_writer.ThrottledWriter.write

    @contextmanager
    def timed(self: throttled_writer.ThrottledWriter, *, sized: bool = True) -> Iterator[object]:
        with made(self, sized=sized) as connection:
            start = time.thread_time()
            yield connection
        seen.longest_cpu_s = max(seen.longest_cpu_s, time.thread_time() - start)
        seen.longest_lock_s = max(seen.longest_lock_s, self.longest_s)

    throttled_writer.ThrottledWriter.write = timed  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        throttled_writer.ThrottledWriter.write = made  # type: ignore[method-assign]


def print_row(what: str, seen: Observed) -> None:
    """Print one row."""
    waits = np.array(seen.waits) * 1e3
    lock = f"{1e3 * seen.longest_lock_s:.0f} ms ({1e3 * seen.longest_cpu_s:.0f} ms)"
    wait = f"{median(waits):.1f} / {np.quantile(waits, 0.99):.0f} / {waits.max():.0f} ms"
    memory = f"{seen.grown_mb:+.0f} MB"
    line = (what, f"{seen.seconds:.1f}", lock, f"{len(waits):,}", wait, seen.refused, seen.lost, memory)
    print(row(*line), flush=True)


def siblings(lab: Lab, run: RunRecord) -> None:
    """Measure the store's other long writes and its long reads on one large run."""
    store = lab.store
    heir, _ = store.queue.submit(RunConfig(dataset="digits", seed=9), fingerprint=new_id(), family="f", fresh=True)
    held = store.leases.claim(slot="bench-heir", owner=Owner.of_this_process())
    assert held is not None
    assert held.id == heir.id
    work: dict[str, Callable[[], object]] = {
        "nothing": lambda: time.sleep(5),
        "reading its curves": lambda: store.points.read(run.id),
        "verifying it": lambda: store.integrity.verify(run.id),
        "copying its history": lambda: store.history.copy(run.id, held.id, lease=held.lease),
        "ending the heir": lambda: store.leases.finish(held.id, held.lease, state=RunState.INTERRUPTED),
        "rewinding the heir to step 0": lambda: store.history.rewind(held.id, _claim_again(lab, held.id), 0),
        "deleting and purging it": lambda: _delete_for_good(lab, run.id),
    }
    for what, do in work.items():
        with training_beside(lab) as seen:
            do()
        print_row(what, seen)


def _delete_for_good(lab: Lab, run: str) -> None:
    lab.store.removal.delete(run)
    lab.store.removal.purge(lab.artifacts.delete, older_than_s=0)


def _claim_again(lab: Lab, run: str) -> int:
    lab.store.leases.request(run, RunRequest.RUN)
    held = lab.store.leases.claim(slot="bench-heir", owner=Owner.of_this_process())
    assert held is not None
    assert held.id == run
    return held.lease


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=3_000_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--siblings", action="store_true")
    parser.add_argument("--database", default="", help="an SQLAlchemy URL; by default SQLite in a new folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-imports-") as folder:
        lab = open_lab(Path(folder), chosen.database)
        import_bundle(lab, io.BytesIO(bundle_of(300, 1)))  # imports all modules before the measurement
        data = bundle_of(chosen.points, chosen.runs)
        with training_beside(lab) as seen:
            records = import_bundle(lab, io.BytesIO(data))
        lock, wait = "longest lock (processor time of it)", "wait: median / p99 / longest"
        print(heading("work next to the training", "seconds", lock, "writes", wait, "refused", "lost", "memory"))
        print_row(f"import of {chosen.points:,} points, {len(data) / 1e6:.1f} MB", seen)
        if chosen.siblings:
            siblings(lab, records[0])


if __name__ == "__main__":
    main()

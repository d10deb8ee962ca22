"""A process to be killed: it claims a run, writes points, saves files, and reports acknowledged writes to its parent.

Usage: python -m tests.runs.killed_writer URL ARTIFACTS durable|buffered. Each line on standard input starts one writer
in its own process (forked, to save the imports), which first prints its pid. The buffered writer is the negative
control: it acknowledges points that are only in its memory, as a store that does not commit would.
"""

import hashlib
import os
import sys
import time

import numpy as np

from lab.runs.artifacts import ArtifactStore
from lab.runs.owner import Owner
from lab.runs.records import SavedFile, Series
from lab.runs.store import RunStore

STEPS = 20


def value_at(step: int) -> float:
    """Return the value of a step, which a reader can recompute."""
    return step / 7


def part(first: int) -> dict[str, Series]:
    """Return the points of `STEPS` steps, beginning with `first`."""
    step = np.arange(first, first + STEPS)
    return {name: Series(name, step, step / 7, step * 0.1) for name in ("batch/loss", "batch/accuracy")}


def main(url: str, artifacts_url: str, mode: str) -> None:
    store, artifacts = RunStore.open(url), ArtifactStore(artifacts_url)
    run = store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    first = 1 + max((series.step[-1] for series in store.points.read(run.id).values()), default=0)
    waiting: list[dict[str, Series]] = []
    while True:
        waiting.append(part(int(first)))
        first += STEPS
        if mode == "durable" or len(waiting) == 50:
            for points in waiting:
                store.points.append(run.id, run.lease, points)
            waiting.clear()
        os.write(1, f"points {first - 1}\n".encode())
        path = f"{run.id}/{first}.bin"
        data = hashlib.sha256(path.encode()).digest() * 200
        sha256, size = artifacts.write(path, data)
        store.files.add(run.id, run.lease, SavedFile(run.id, "weights", int(first), 1, path, sha256, size, time.time()))
        os.write(1, f"saved {path}\n".encode())


def start_on_demand(url: str, artifacts_url: str, mode: str) -> None:
    """Fork one writer for each line on standard input, and print when it has exited."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(1, f"pid {os.getpid()}\n".encode())
            main(url, artifacts_url, mode)
        os.waitpid(child, 0)
        os.write(1, b"\nexited\n")


if __name__ == "__main__":
    start_on_demand(*sys.argv[1:])

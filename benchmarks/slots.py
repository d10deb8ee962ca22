"""Time saved by slots: `python -m benchmarks.slots [--slots 1 2] [--runs 8] [--epochs 10] [--repeats 3]`.

Trains the same LeNet-5 runs on the digits with each number of slots, with the lab's own supervisor and workers in
temporary homes. The clock runs from queueing the first run, with all workers started and warm, to the end of the last
run. Prints each time, the ratio to the first number of slots, and whether the test losses of every run are bitwise
identical. Needs a quiet machine; with LAB_DATA set, `--dataset mnist` uses the real images.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable

from benchmarks.guard import guarded
from lab.config import RunConfig
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import Settings

_READY_S = 600.0  # time limit for each wait, generous for slow machines
_POLL_S = 0.05


def measure(slots: int, configs: list[RunConfig], *, device: str) -> tuple[float, list[float | None]]:
    """Return the total seconds of the runs, and the test loss of each."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "LAB_HOME": home, "LAB_DEVICE": device, "LAB_SLOTS": str(slots)}
        lab = Lab(Settings.from_env(environment))
        with guarded(lab.settings.make_home()):
            _start_workers(lab, configs[0], slots)
            began = time.perf_counter()
            runs = [lab.submissions.submit(lab.validation.resolve(config)).run.id for config in configs]
            _until(lambda: lab.store.queue.count_queued() + lab.store.queue.count_running() == 0)
            elapsed_s = time.perf_counter() - began
            records = [lab.store.runs.get(run) for run in runs]
            failed = [record.reason for record in records if record.state is not RunState.FINISHED]
            if failed:
                raise RuntimeError(f"A run did not finish: {failed[0]}")
            return elapsed_s, [record.headline.test_loss for record in records]


def _start_workers(lab: Lab, config: RunConfig, slots: int) -> None:
    """Have every slot train a run before the clock starts, so that the start of processes is not measured."""
    long = config.replace(epochs=10_000, keep_mb=1)
    first = [
        lab.submissions.submit(lab.validation.resolve(long.replace(seed=1_000 + slot))).run.id for slot in range(slots)
    ]
    lab.workers.ensure()
    _until(lambda: all(lab.store.runs.get(run).progress.step for run in first))
    lab.store.queue.stop_all()
    _until(lambda: lab.store.queue.count_running() == 0)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _READY_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"Nothing happened for {_READY_S:g} s.")
        time.sleep(_POLL_S)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    base = RunConfig(arch="lenet5", dataset=asked.dataset, epochs=asked.epochs, batch_size=asked.batch_size)
    configs = [base.replace(seed=seed) for seed in range(asked.runs)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.node()}, {os.cpu_count()} cores, load {load:.1f} at the start")
    times: dict[int, list[float]] = {slots: [] for slots in asked.slots}
    losses: set[tuple[float | None, ...]] = set()
    for repeat in range(asked.repeats):
        for slots in asked.slots:
            elapsed_s, found = measure(slots, configs, device=asked.device)
            times[slots].append(elapsed_s)
            losses.add(tuple(found))
            print(f"repeat {repeat + 1}, {slots} slots: {elapsed_s:.1f} s")
    first = statistics.median(times[asked.slots[0]])
    for slots, found_s in times.items():
        median = statistics.median(found_s)
        print(f"{slots} slots: median {median:.1f} s (n = {len(found_s)}), {median / first:.0%} of the time")
    print("all test losses equal to the last bit" if len(losses) == 1 else "the test losses differ")


if __name__ == "__main__":
    main()

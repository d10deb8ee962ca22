"""GPU benchmarks in minutes: one command, with named sections that each have a time limit.

    LAB_DATA=... python -m benchmarks.gpu [--section steps ... | --all] [--arch lenet-bn ...] [--precision float32]
        [--out gpu.json]

The default sections take at most three minutes, `--all` a quarter of an hour. Every row is printed when it has been
measured and written to `--out` as JSON, and the table is printed after every section, so that an interruption loses at
most one row. A section begins no measurement after its limit and is aborted some time later. On a CUDA device, steps or
evaluations that were not captured are an error. Needs torch, NumPy and MNIST under `LAB_DATA`, or else scikit-learn for
the built-in digits; no web packages. Without a GPU all sizes are tiny, which only shows that the command works.

- steps: milliseconds per update, batch 64: `engine` (`lab.training.engine.train`, its own time on updates) and `limit`
  (the fixed batch of `benchmarks.limit`, captured) in turns, and once each with kernels launched one by one, `launched`
  and `eager`;
- runs: the preset d-lenet-bn with all evaluations, the run's own seconds;
- speedrun: the preset on five held-out seeds, seconds of training;
- large: one network at 224 pixels, float32 and bfloat16, with peak memory;
- evaluation: the chosen chunk size, milliseconds of launched, captured and capturing evaluations, peak memory;
- start: in a fresh process, the warm-up, the first run and the second run;
- together (on request): 1, 2, 4 and 8 seeds of one setting side by side, and the speed-up over one after the other;
- lab (on request): what the lab's worker adds to the run of `runs`, if the packages of the store are installed;
- compile (on request): torch.compile with captured steps, seconds until the first step and milliseconds per update;
- report (on request): the seven networks of report D, 5 epochs with all evaluations.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from benchmarks.gpu_sections import FULL, PRECISIONS, SECTIONS, TINY, Bench, Row, Section
from lab.data.load import is_present
from lab.devices import describe_device, resolve_device

GRACE_S = 30.0  # for a measurement that has begun before the section's limit


def table(name: str, rows: list[Row], seconds: float) -> str:
    """Return a section as Markdown."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"\n### {name} ({seconds:.0f} s)", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


class OverTimeError(BaseException):
    """A section took too long. Not an `Exception`, because torch.compile would treat it as its own error."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `OverTimeError` in a block that takes longer, if the system has a timer; a call of torch ends first."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise OverTimeError(f"ended after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def collect(section: Section, bench: Bench, save: Callable[[list[Row]], None]) -> tuple[list[Row], str]:
    """Return a section's rows, and the traceback of an error or "", so that later sections still run."""
    rows: list[Row] = []
    try:
        with at_most(section.limit_s + GRACE_S):
            for row in section.measure(bench):
                rows.append(row)
                save(rows)
                print("…", ", ".join(f"{name} {_cell(value)}" for name, value in row.items()), flush=True)
    except (Exception, OverTimeError):
        return rows, traceback.format_exc()
    return rows, ""


def not_captured(rows: list[Row], device: torch.device) -> list[str]:
    """Return what a CUDA device launched instead of capturing it: such a row measures something else."""
    if device.type != "cuda":
        return []
    said = [(name, value) for row in rows for name, value in row.items() if name in ("steps", "notices")]
    return [f"{name}: {value}" for name, value in dict.fromkeys(said) if value not in ("captured", "")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="repeat for several")
    parser.add_argument("--all", action="store_true", help="every section")
    parser.add_argument("--arch", action="append", help="networks of steps, large and report; repeat for several")
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="repeat for several")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LAB_DATA", ".lab/data")))
    parser.add_argument("--out", type=Path, help="JSON file")
    given = parser.parse_args(arguments)
    device = resolve_device(given.device)
    size = FULL if device.type == "cuda" else TINY
    if given.arch:
        size = dataclasses.replace(size, networks=given.arch, large=given.arch, report=given.arch)
    if given.precision:
        size = dataclasses.replace(size, precisions=given.precision)
    dataset = "mnist" if is_present("mnist", root=given.data) else "digits"
    facts = {**describe_device(device), "dataset": dataset, "batch": size.batch}
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if device.type != "cuda":
        print(f"This is {device.type}, so all sizes are tiny: these numbers say nothing about a GPU.")
    elif dataset != "mnist":
        print(f"MNIST is not under {given.data}: in short epochs of the built-in digits, the engine looks slower.")
    found: dict[str, Any] = {"machine": facts, "sections": {}}

    def save(rows: list[Row], error: str = "") -> None:
        found["sections"][name] = {"seconds": time.perf_counter() - began, "rows": rows, "error": error}
        if given.out:
            given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")

    bench = Bench(device, given.data, dataset, size)
    chosen = given.section or [name for name, section in SECTIONS.items() if section.default or given.all]
    for name in chosen:
        began = time.perf_counter()
        bench.deadline = began + SECTIONS[name].limit_s
        rows, error = collect(SECTIONS[name], bench, save)
        print(table(name, rows, time.perf_counter() - began), error, sep="\n", flush=True)
        if launched := not_captured(rows, device):
            error += f"NOT CAPTURED: {'; '.join(launched)}"
            print(error, flush=True)
        save(rows, error)
    return int(any(section["error"] for section in found["sections"].values()))


if __name__ == "__main__":
    raise SystemExit(main())

"""A reproducible lab with records of every kind, whose pages and CLI output are recorded.

It is the golden store of 0.1.0 (small networks with weights, an early stopped, a diverged, a paused and a queued run,
drawings) with records that this module writes: two settings with five seeds each, runs of two experiments of report C,
a running and a failed run, a fork, a queued run of another owner, a sweep between two of its rungs, a finished sweep,
and workers on two hosts.
"""

import gzip
import hashlib
import json
import math
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from lab.config import RunConfig
from lab.findings import Finding
from lab.presets import get_preset
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunRequest, RunState, Series
from lab.runs.store import RunStore
from lab.runs.workers import WorkerRecord
from lab.service.lab import Lab
from lab.service.workers import Workers
from lab.settings import Settings
from lab.sweeps.spec import read_spec
from pages.widgets.machine import describe_machine
from tests.golden.opening import GOLDEN, read, unpack_home

RELEASE = "0.1.0"
SHOWN = GOLDEN / "shown"
BEGAN = 1_795_867_200.0  # 2026-11-28 12:00 UTC, a day after the store of the release
NOW = BEGAN + 7 * 3600.0
_WORKER = Owner("calm pid:[4026531836]", 4242, 1.0)
_LOW = (0.912, 0.915, 0.918, 0.909, 0.914)
_HIGH = (0.931, 0.929, 0.934, 0.926, 0.930)
_STEPS = 8  # per epoch


class Clock:
    """A clock, in seconds since the epoch, that only changes when `now` is set."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


@contextmanager
def ids_of(name: str) -> Iterator[None]:
    """Derive all ids that are generated in this context from a name, independent of earlier ids."""
    drawn = 0

    def token_hex(size: int | None = None) -> str:
        nonlocal drawn
        drawn += 1
        return hashlib.sha256(f"{name} {drawn}".encode()).hexdigest()[: 2 * (size or 32)]

    with patch("secrets.token_hex", token_hex):
        yield


def _curves(epochs: int, accuracy: float) -> dict[str, Series]:
    """Return the points of a run whose final accuracy is `accuracy`."""
    steps, ends = np.arange(1, epochs * _STEPS + 1), _STEPS * np.arange(1, epochs + 1)
    share = steps / (epochs * _STEPS)

    def series(name: str, at: np.ndarray, values: np.ndarray) -> Series:
        return Series(name, at.astype(np.int64), np.asarray(values, dtype=np.float64).round(4), at * 0.25)

    loss = (1 - share) * 2.2 + 0.3 + 0.05 * np.sin(7.0 * steps)
    right = 0.1 + (accuracy - 0.1) * (1 - (1 - ends / ends[-1]) ** 2)
    return {
        "batch/loss": series("batch/loss", steps, loss),
        "batch/accuracy": series("batch/accuracy", steps, np.clip(1 - loss / 2.6, 0, 1)),
        "lr": series("lr", ends, np.full(epochs, 0.001)),
        "train/loss": series("train/loss", ends, 2.3 * (1 - right)),
        "train/accuracy": series("train/accuracy", ends, np.minimum(right + 0.02, 1)),
        "val/loss": series("val/loss", ends, 2.5 * (1 - right)),
        "val/accuracy": series("val/accuracy", ends, right),
        "test/loss": series("test/loss", ends, 2.6 * (1 - right)),
        "test/accuracy": series("test/accuracy", ends, right - 0.004),
    }


def _summary(epochs: int, accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "outcome": "finished",
        "test_accuracy": accuracy,
        "val_accuracy": accuracy + 0.004,
        "test_loss": 2.6 * (1 - accuracy),
        "val_loss": 2.5 * (1 - accuracy),
        "train_accuracy": accuracy + 0.02,
        "best_epoch": epochs,
        "final_epoch": epochs,
        "epochs": epochs,
        "steps": epochs * _STEPS,
        "params": 61_706,
        "images_per_second": 2_000.0 + 1_000.0 * accuracy,
        "memory_mb": 210.0,
        **more,
    }


class _RunWriter:
    """Writes runs as a worker would, one minute apart."""

    def __init__(self, lab: Lab, clock: Clock) -> None:
        self.lab, self.clock = lab, clock

    def queue(self, config: RunConfig, name: str, **facts: Any) -> RunRecord:
        self.clock.now += 60.0
        with ids_of(name):
            config = self.lab.validation.resolve(config).config
            facts = {"fingerprint": hashlib.sha256(name.encode()).hexdigest(), "family": "", "name": name, **facts}
            return self.lab.store.queue.submit(config, **facts)[0]

    def claim(self, *, slot: str = "cpu") -> RunRecord:
        """Claim the first queued run for a worker."""
        run = self.lab.store.leases.claim(slot=slot, owner=_WORKER)
        assert run is not None
        environment = {
            "name": "Intel Xeon",
            "device": "cpu",
            "cores": 2,
            "threads": 2,
            "torch": "2.11.0",
            "params": 61_706,
        }
        data = {"train_images": 1_078, "val_images": 269, "test_images": 450, "normalization": [0.3, 0.4]}
        self.lab.store.leases.set_environment(run.id, run.lease, environment={**environment, **data}, device="cpu")
        return self.lab.store.runs.get(run.id)

    def write(self, run: RunRecord, epoch: int, accuracy: float, *, seconds: float = 0.0) -> None:
        epochs = run.config.epochs
        progress = {"step": epoch * _STEPS, "steps_per_epoch": _STEPS, "total_steps": epochs * _STEPS, "epoch": epoch}
        more = {"epochs": epochs, "phase": "training", "eta_seconds": 30.0 * (epochs - epoch), "seconds": seconds}
        self.lab.store.points.append(run.id, run.lease, _curves(epoch, accuracy), progress={**progress, **more})

    def end(self, run: RunRecord, state: RunState = RunState.FINISHED, **more: Any) -> RunRecord:
        return self.lab.store.leases.finish(run.id, run.lease, state=state, **{"seconds": 83.0, **more})

    def train(
        self, config: RunConfig, name: str, accuracy: float, *, summary: Mapping[str, Any] = {}, **facts: Any
    ) -> str:
        """Write a finished run and return its id."""
        self.queue(config, name, priority=9, **facts)
        run = self.claim()
        self.write(run, config.epochs, accuracy)
        self.clock.now += 83.0
        self.end(run, summary=_summary(config.epochs, accuracy, **summary), seconds=60.0 + 20.0 * accuracy)
        return run.id


def _fill(lab: Lab, clock: Clock) -> dict[str, str]:
    """Write the records that the release's store lacks, and return their ids by name."""
    writer = _RunWriter(lab, clock)
    ids: dict[str, str] = {}
    digits = RunConfig(arch="lenet-bn", dataset="digits", epochs=3, batch_size=64, device="cpu")
    for side, lr, accuracies in (("low", 0.001, _LOW), ("high", 0.003, _HIGH)):
        for seed, accuracy in enumerate(accuracies):
            config = digits.replace(lr=lr, seed=seed)
            ids[f"{side}{seed}"] = writer.train(config, f"{side} {seed}", accuracy, tags=("seeds",))
    lab.store.edits.set_note(ids["low0"], "The first of *five*.")
    lab.store.edits.set_pinned(ids["high0"], True)
    for id, accuracy in (("c-basic-cnn", 0.981), ("c-batch-50", 0.979)):
        preset = get_preset(id)
        ids[id] = writer.train(preset.config(), preset.id, accuracy, origin="preset")
    writer.queue(
        digits.replace(fork_of=read(RELEASE, "expected.json")["ids"]["finished"], fork_epoch=1), "went on", priority=9
    )
    fork = writer.claim()
    lab.store.leases.set_environment(
        fork.id, fork.lease, environment={"fork_state": "checkpoint", "torch": "2.11.0"}, device="cpu"
    )
    writer.write(fork, 3, 0.6)
    overfitting = Finding("overfitting", "warning", "From epoch 2 on the validation loss rises.", {"patience": 2})
    writer.end(fork, summary=_summary(3, 0.596, best_epoch=2), findings=[overfitting])
    ids["fork"] = fork.id
    writer.queue(digits.replace(arch="basic-cnn", lr=0.5, loss="nll", output="logits"), "broke", priority=9)
    broken = writer.claim()
    lab.store.leases.add_notice(broken.id, broken.lease, "The store was away for 12 s.")
    writer.end(broken, RunState.FAILED, reason="CUDA is out of memory: lower the batch size.")
    ids["failed"] = broken.id
    _sweep(writer, ids, "half way", method="grid", stop_after=5)
    _sweep(writer, ids, "searched", method="grid", stop_after=99, epochs=2)
    writer.queue(digits.replace(epochs=9, seed=7), "under way", owner="ann", priority=9)
    writer.queue(digits.replace(epochs=4, seed=8), "ann's next", owner="ann", priority=-1)
    clock.now = NOW - 5.0
    running = writer.claim()
    writer.write(running, 4, 0.8, seconds=120.0)
    ids["running"] = running.id
    clock.now = NOW - 90.0
    quiet = Owner("quiet pid:[4026531836]", 9, 1.0)
    lab.store.workers.announce(WorkerRecord(quiet, "cpu", "cpu", engine=1, slots=3))
    clock.now = NOW - 2.0
    far = Owner("far pid:[4026531836]", 7, 1.0)
    for slot in ("cuda:0", "cuda:1"):
        lab.store.workers.announce(WorkerRecord(far, slot, slot, engine=1, slots=2))
    lab.machines.drain(far.host)
    lab.store.workers.announce(WorkerRecord(_WORKER, "cpu #2", "cpu", engine=1, slots=2))
    clock.now = NOW
    return ids


def _sweep(
    writer: _RunWriter, ids: dict[str, str], name: str, *, method: str, stop_after: int, epochs: int = 4
) -> None:
    """Create a sweep of six trials, and train at most `stop_after` parts of its trials."""
    lab = writer.lab
    base = {"arch": "lenet5", "dataset": "digits", "epochs": epochs, "device": "cpu", "optimizer": "sgd"}
    space = {"lr": {"values": [0.01, 0.03, 0.1]}, "momentum": {"values": [0.0, 0.9]}}
    halving = {"halving": {"factor": 2, "first_epochs": 1}} if epochs > 2 else {"halving": None}
    spec = read_spec({"name": name, "base": base, "space": space, "method": method, "trials": 6, **halving})
    with ids_of(f"sweep {name}"):
        ids[name] = lab.sweeps.create(spec, priority=8).sweep.id
    for number in range(stop_after):
        with ids_of(f"trial {name} {number}"):
            lab.sweeps.advance(ids[name])
        if not any(run.state is RunState.QUEUED and run.priority == 8 for run in lab.store.queue.list()):
            return
        writer.clock.now += 60.0
        run = writer.claim()
        epoch = run.pause_epoch or run.config.epochs
        accuracy = 0.9 - 0.1 * abs(math.log10(run.config.lr / 0.03)) + 0.02 * run.config.momentum
        writer.write(run, epoch, accuracy * (0.8 + 0.05 * epoch), seconds=10.0 * epoch)
        paused = run.pause_epoch is not None
        ended = (
            {"state": RunState.PAUSED, "fulfils": RunRequest.RUN} if paused else {"summary": _summary(epoch, accuracy)}
        )
        writer.end(run, **{"seconds": 10.0 * epoch, **ended})
    lab.sweeps.pause(ids[name])


def write_store(target: Path) -> None:
    """Write the lab's store, compressed, and the ids of runs, sweeps and drawings by name."""
    with tempfile.TemporaryDirectory() as folder:
        home = unpack_home(RELEASE, Path(folder) / "home")
        clock = Clock()
        lab = Lab(Settings.from_env({"LAB_HOME": str(home), "LAB_DEVICE": "cpu"}))
        lab.store = RunStore.open(lab.settings.database, clock=clock)
        ids = {**read(RELEASE, "expected.json")["ids"], **_fill(lab, clock)}
        lab.store.close()
        with closing(sqlite3.connect(home / "lab.db")) as connection:
            connection.execute("VACUUM")
        target.mkdir(exist_ok=True)
        (target / "lab.db.gz").write_bytes(gzip.compress((home / "lab.db").read_bytes(), mtime=0))
        (target / "ids.json").write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")


def list_ids() -> dict[str, str]:
    """Return the ids of runs, sweeps and drawings by name."""
    return dict(json.loads((SHOWN / "ids.json").read_text(encoding="utf-8")))


@contextmanager
def shown_lab(home: Path) -> Iterator[pytest.MonkeyPatch]:
    """Unpack the lab into a new folder, and let pages and commands use it.

    The machine is idle, is named "here", has two cores of a fixed speed and its time zone is UTC. No worker is started.
    """
    unpack_home(RELEASE, home)
    (home / "lab.db").write_bytes(gzip.decompress((SHOWN / "lab.db.gz").read_bytes()))
    with pytest.MonkeyPatch.context() as patched:
        for name in Settings.from_env({}).environment():
            patched.delenv(name, raising=False)
        for name, value in {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "TZ": "UTC"}.items():
            patched.setenv(name, value)
        time.tzset()
        patched.setattr("os.cpu_count", lambda: 2)
        patched.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
        patched.setattr("lab.service.costs._cpu_macs_per_second", lambda: 5e10)
        patched.setattr("socket.gethostname", lambda: "here")
        patched.setattr(Workers, "ensure", lambda _workers: False)
        yield patched
    time.tzset()


def plain(text: str, home: Path) -> str:
    """Return text without the parts that depend on the machine: folders, the processor, the process namespace."""
    text = text.replace(str(home), "HOME").replace(describe_machine("cpu"), "CPU of this machine")
    return re.sub(r"pid:\[\d+\]", "pid:[1]", text)

"""Runs without a worker: the tests claim them and write their points, as a worker would."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from lab.config import RunConfig
from lab.runs.owner import Owner, process_start
from lab.runs.records import RunRecord, RunState, Series
from lab.service.lab import Lab
from lab.settings import Settings

T = TypeVar("T")
DIGITS_CONFIG = RunConfig(dataset="digits", epochs=3, batch_size=32)


def use_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Make pages use the lab in this home, without any setting from the machine's environment."""
    for name in Settings.from_env({}).environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAB_HOME", str(home))


def series(name: str, values: np.ndarray, *, first: int = 1, every: int = 1) -> Series:
    """Return a series with one value for every `every`-th step, at 1 ms per step."""
    step = np.arange(first, first + every * len(values), every, dtype=np.int64)
    return Series(name, step, np.asarray(values, dtype=np.float64), step / 1000.0)


@dataclass
class Bench:
    """A lab whose runs are advanced by the test, in place of a worker."""

    lab: Lab
    owner: Owner = field(default_factory=lambda: Owner("test-host", os.getpid(), process_start(os.getpid()) or 0.0))

    def queue(self, config: RunConfig = DIGITS_CONFIG) -> RunRecord:
        """Submit a run."""
        return self.lab.submissions.submit(self.lab.validation.resolve(config)).run

    def start(self, config: RunConfig = DIGITS_CONFIG) -> RunRecord:
        """Submit a run and claim it."""
        self.queue(config)
        run = self.lab.store.leases.claim(slot="cpu", owner=self.owner)
        assert run is not None
        self.lab.store.leases.set_environment(run.id, run.lease, environment={"name": "Test CPU"}, device="cpu")
        return self.lab.store.runs.get(run.id)

    def write(self, run: RunRecord, *parts: Series) -> None:
        """Append points to a run and report its progress."""
        progress = {"step": int(parts[0].step[-1]), "total_steps": 4000, "epoch": 1, "epochs": 3, "phase": "training"}
        self.lab.store.points.append(run.id, run.lease, {part.name: part for part in parts}, progress=progress)

    def finish(self, run: RunRecord, **summary: float) -> RunRecord:
        """Finish a run. summary: values that replace the default ones."""
        self.lab.store.leases.finish(
            run.id,
            run.lease,
            state=RunState.FINISHED,
            seconds=83.0,
            summary={
                "outcome": "finished",
                "test_accuracy": 0.9731,
                "val_accuracy": 0.97,
                "test_loss": 0.081,
                "best_epoch": 3,
                "final_epoch": 3,
                "params": 61706,
                **summary,
            },
        )
        return self.lab.store.runs.get(run.id)


@dataclass(frozen=True)
class Client:
    """Sends requests to an application, without a socket."""

    app: Starlette
    host: str = "localhost:8501"

    def get(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Return the response."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{self.host}") as client:
                return await client.get(path, params=params, headers=headers)

        return run_in_thread(lambda: asyncio.run(send()))


def run_in_thread(work: Callable[[], T]) -> T:
    """Return the result of `work`, run in its own thread so that it may start an event loop.

    Playwright's event loop stays on the main thread, where no other may run.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(work).result()

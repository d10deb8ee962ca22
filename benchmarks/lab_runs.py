"""Times one run alone and through the lab's worker, to measure the worker's overhead."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import resolve_device
from lab.networks import build_from_config
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.training.engine import train
from lab.training.events import Ended
from lab.worker.execution import execute


@dataclass(frozen=True)
class Times:
    """Seconds of one run: processor time of this process, wall clock, and the engine's own clock."""

    cpu: float
    wall: float
    engine: float


def timed(action: Callable[[], float]) -> Times:
    """Return the times of an action that returns the seconds of the engine's own clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    engine = action()
    return Times(time.process_time() - cpu, time.perf_counter() - wall, engine)


def lab_share(own: Times, bare: Times) -> float:
    """Return the lab's overhead as a share of the engine's clock.

    The overhead is the wall time of a run in the lab beyond the engine's clock, minus the same of a run trained alone.
    """
    return (own.wall - own.engine - (bare.wall - bare.engine)) / own.engine


def train_alone(lab: Lab, config: RunConfig) -> float:
    """Train as the worker does but discard all events; return the seconds of the engine's own clock."""
    device = resolve_device(config.device)
    data = load_resident(config, root=lab.settings.data, device=device)
    for event in train(config, network=build_from_config(config), data=data, device=device):
        if isinstance(event, Ended):
            return event.time_s
    raise RuntimeError("training ended without its last event")


def claim(lab: Lab, config: RunConfig) -> RunRecord:
    """Queue a run and claim it for this process."""
    lab.submissions.submit(lab.validation.resolve(config))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    if run is None:
        raise RuntimeError("the run that was just queued could not be claimed")
    return run


def train_in_lab(lab: Lab, run: RunRecord) -> float:
    """Train a claimed run as the worker does, with all that the lab adds; return the engine's seconds."""
    execute(lab, run, ending=threading.Event())
    ended = lab.store.runs.get(run.id)
    if ended.state is not RunState.FINISHED:
        raise RuntimeError(f"run {run.id} did not finish: {ended.reason}")
    return ended.seconds


def train_both(lab: Lab, config: RunConfig) -> tuple[Times, Times]:
    """Return the times of a run in the lab and of the same run alone; the latter is trained first."""
    bare = timed(lambda: train_alone(lab, config))
    run = claim(lab, config)
    return timed(lambda: train_in_lab(lab, run)), bare

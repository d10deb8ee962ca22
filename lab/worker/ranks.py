"""The other processes of a run on several devices: started, watched and ended by its worker, which is rank 0.

They die with it: each reads from its standard input, which closes with the worker. A rank that ends before its time takes the
worker with it, as if that had been killed: the lease runs out and the run can be resumed from its last checkpoint.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lab.config import RunConfig
from lab.errors import DeviceError
from lab.settings import Settings
from lab.temporary_folders import temporary_folder
from lab.training.parallel import ParallelSteps, parallel_steps
from lab.training.step_choice import StepKind
from lab.training.team import join_team, leave_team
from lab.worker.exit_codes import LATER
from lab.worker.supervisor.log import log_worker

_LEAVE_S = 20.0  # for a rank to end once it was let go
_NOTICE_S = 10.0  # in which the end of a process is noticed after its connections were lost


def device_of(rank: int, first: torch.device) -> torch.device:
    """Return the device of a rank: the GPUs after the first one, around the end; every rank the same CPU."""
    if first.type != "cuda":
        return first
    number = torch.cuda.current_device() if first.index is None else first.index
    return torch.device("cuda", (number + rank) % torch.cuda.device_count())


def check_devices(config: RunConfig, device: torch.device) -> None:
    """Raise `DeviceError` where the machine has fewer devices than the run asks for."""
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if device.type not in ("cpu", "cuda"):
        there = 1
    if config.devices > there:
        kind = "GPUs" if device.type == "cuda" else "cores" if device.type == "cpu" else f"devices of {device.type}"
        raise DeviceError(
            f"devices is {config.devices}, but this machine has {there} {kind}: choose at most {there}.",
            field="devices",
        )


@contextmanager
def steps_on_devices(
    config: RunConfig, settings: Settings, device: torch.device
) -> Iterator[StepKind | Callable[..., ParallelSteps]]:
    """Give what builds the steps of a run (`lab.training.engine.train`), with the other ranks running meanwhile."""
    if config.devices == 1:
        yield StepKind.AUTO
        return
    check_devices(config, device)
    os.environ.update({name: value for name, value in local_network().items() if name not in os.environ})
    with temporary_folder("lab-ranks-") as folder:
        meeting, over = folder / "meeting", threading.Event()
        ranks = [_start(config, settings, rank, meeting, device) for rank in range(1, config.devices)]
        for rank in ranks:
            threading.Thread(target=_watch, args=(rank, over), name="rank check", daemon=True).start()
        team = join_team(0, config.devices, meeting, device)
        built: list[ParallelSteps] = []

        def build(*arguments: Any) -> ParallelSteps:
            built.append(parallel_steps(team)(*arguments))
            return built[-1]

        try:
            yield build
        except RuntimeError:
            # A lost connection is often seen before the end of the rank behind it, which ends this process too (`_watch`).
            time.sleep(_NOTICE_S)
            raise
        finally:
            over.set()
            _end(ranks, built)


def _start(
    config: RunConfig, settings: Settings, rank: int, meeting: Path, first: torch.device
) -> "subprocess.Popen[bytes]":
    threads = max(1, torch.get_num_threads() // config.devices)
    environment = {**os.environ, **settings.environment(), "OMP_NUM_THREADS": str(threads)}
    words = [sys.executable, "-m", "lab.worker.rank", str(rank), str(meeting), str(device_of(rank, first))]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    process.stdin.write(json.dumps(config.as_dict()).encode() + b"\n")
    process.stdin.flush()
    return process


def local_network() -> dict[str, str]:
    """Return the variables with which gloo looks for the other ranks on this machine only."""
    return {"GLOO_SOCKET_IFNAME": "lo"} if Path("/sys/class/net/lo").exists() else {}


def _watch(rank: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    code = rank.wait()
    if not over.is_set():
        log_worker(f"rank {rank.args!r} ended with {code} before its time; this worker ends too")
        os._exit(LATER)


def _end(ranks: "list[subprocess.Popen[bytes]]", built: list[ParallelSteps]) -> None:
    try:
        if built:
            built[0].end()
    except RuntimeError as error:  # lost after the last step: nothing more is asked of it
        log_worker(f"a rank was lost when it was let go: {error}")
    for rank in ranks:
        assert rank.stdin is not None
        rank.stdin.close()
        try:
            rank.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()
    leave_team()

"""The other processes of a run on several devices: started, watched and ended by its worker, which is rank 0.

They exit with the worker: each reads from its standard input, which closes when the worker exits. If a rank exits
early, the worker exits too, as if it had been killed: the lease expires, and the run can be resumed from its last
checkpoint.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lab.background import start_thread
from lab.config import RunConfig
from lab.errors import DeviceError, WorkerStartError
from lab.settings import Settings
from lab.system_errors import reason, remedy
from lab.temporary_folders import temporary_folder
from lab.training.parallel import ParallelSteps
from lab.training.step_choice import StepKind
from lab.training.team import join_team, leave_team
from lab.worker.exit_codes import LATER
from lab.worker.supervisor.log import log_worker

_LEAVE_S = 20.0  # time for a rank to exit after training has ended
_NOTICE_S = 10.0  # time to notice the exit of a process after its connections were lost


def device_of(rank: int, first: torch.device) -> torch.device:
    """Return the device of a rank: the GPUs from the first one on, wrapping around, or the same CPU for every rank."""
    if first.type != "cuda":
        return first
    number = torch.cuda.current_device() if first.index is None else first.index
    return torch.device("cuda", (number + rank) % torch.cuda.device_count())


def check_devices(config: RunConfig, device: torch.device) -> None:
    """Raise `DeviceError` if the machine has fewer devices than the run requests."""
    available = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if device.type not in ("cpu", "cuda"):
        available = 1
    if config.devices > available:
        kind = "GPUs" if device.type == "cuda" else "cores" if device.type == "cpu" else f"devices of {device.type}"
        raise DeviceError(
            f"devices is {config.devices}, but this machine has {available} {kind}: choose at most {available}.",
            field="devices",
        )


@contextmanager
def steps_on_devices(
    config: RunConfig, settings: Settings, device: torch.device
) -> Iterator[StepKind | Callable[..., ParallelSteps]]:
    """Yield the `steps` argument of `lab.training.engine.train`; the other ranks run inside the context."""
    if config.devices == 1:
        yield StepKind.AUTO
        return
    check_devices(config, device)
    os.environ.update({name: value for name, value in local_network().items() if name not in os.environ})
    with temporary_folder("lab-ranks-") as folder:
        meeting, over = folder / "meeting", threading.Event()
        ranks: list[subprocess.Popen[bytes]] = []
        built: list[ParallelSteps] = []
        try:
            for rank in range(1, config.devices):
                ranks.append(_start(config, settings, rank, meeting, device))
                start_thread(partial(_watch, ranks[-1], over), name="rank check")
            team = join_team(0, config.devices, meeting, device)

            def build(*arguments: Any) -> ParallelSteps:
                built.append(ParallelSteps(team, *arguments))
                return built[-1]

            yield build
        except RuntimeError:
            # A lost connection is often noticed before the exit of the rank, upon which `_watch` ends this process.
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
    try:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)
    except OSError as error:
        how = remedy(error, "make sure that this user can start processes")
        raise WorkerStartError(
            f"Process {rank + 1} of {config.devices} cannot be started ({reason(error)}): {how}."
        ) from error
    assert process.stdin is not None
    process.stdin.write(json.dumps(config.as_dict()).encode() + b"\n")
    process.stdin.flush()
    return process


def local_network() -> dict[str, str]:
    """Return the environment variables that restrict gloo to the loopback interface, "lo" or on macOS "lo0"."""
    names = {name for _, name in socket.if_nameindex()}
    found = next((name for name in ("lo", "lo0") if name in names), "")
    return {"GLOO_SOCKET_IFNAME": found} if found else {}


def _watch(rank: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    code = rank.wait()
    if not over.is_set():
        log_worker(f"rank {rank.args!r} exited early with code {code}; this worker exits too")
        os._exit(LATER)


def _end(ranks: "list[subprocess.Popen[bytes]]", built: list[ParallelSteps]) -> None:
    try:
        if built:
            built[0].end()
    except RuntimeError as error:  # lost after the last step, when it has nothing more to do
        log_worker(f"a rank was lost after training ended: {error}")
    for rank in ranks:
        assert rank.stdin is not None
        rank.stdin.close()
        try:
            rank.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()
    leave_team()

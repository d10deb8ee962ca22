"""A rank of a run on several devices: `python -m lab.worker.rank RANK MEETING DEVICE`, started by `lab.worker.ranks`.

Reads the configuration from its standard input and exits when that closes, which means that the worker has exited.
"""

import json
import os
import sys
from pathlib import Path

import torch

from lab.background import start_thread
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.errors import LabError
from lab.networks import build_from_config
from lab.settings import Settings
from lab.training.parallel import follow
from lab.training.team import join_team, leave_team
from lab.worker.supervisor.log import log_worker

_STDIN = 0


def main(words: list[str]) -> int:
    """Follow rank 0 until training ends; return 0, or 1 after an error, which is logged."""
    rank, meeting, device = int(words[0]), Path(words[1]), torch.device(words[2])
    config = RunConfig.from_dict(json.loads(_first_line()))
    start_thread(_exit_with_the_worker, name="worker check")
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    try:
        settings = Settings.from_env(os.environ)
        data = load_resident(config, root=settings.data, device=device)
        network = build_from_config(config)
        team = join_team(rank, config.devices, meeting, device)
        follow(config, network=network, data=data, device=device, team=team)
        leave_team()
    except LabError as error:
        log_worker(f"rank {rank}: {error}")
        return 1
    return 0


def _first_line() -> bytes:
    """Read a line without a buffer, because the thread below would hold the buffer's lock at interpreter shutdown."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(_STDIN, 1)
        if not piece:
            os._exit(0)  # the worker has already exited
        line += piece
    return line


def _exit_with_the_worker() -> None:
    while os.read(_STDIN, 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Started by the kill tests as a process of its own: it imports torch once, then forks workers that can be killed.

Commands come on standard input, one JSON object a line: {"home": path, "honest": bool}. For each, a child trains what is
queued there and tells, through the pipe on file descriptor 3, every batch of points *after* the store acknowledged it; a
line "gone" follows when it has ended.
A dishonest child acknowledges what it never committed: the control that must be caught.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
import torch._dynamo  # the first optimizer imports it; here no child has to

from lab.runs.points import Points
from lab.runs.records import RunRequest, Series
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import work

ACKNOWLEDGED = 3


def _tell(run: str, points: Mapping[str, Series]) -> None:
    # Rows below this size reach the pipe whole or not at all (PIPE_BUF), even if the process is killed here.
    for name, series in points.items():
        for first in range(0, len(series.step), 200):
            steps = series.step[first : first + 200].tolist()
            os.write(ACKNOWLEDGED, (json.dumps([run, name, steps]) + "\n").encode())


class HonestPoints(Points):
    """Tells what was acknowledged, after it was."""

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        want = super().append(run, lease, points, progress=progress)
        _tell(run, points)
        return want


class DishonestPoints(Points):
    """The commit taken out: points are acknowledged and never written."""

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        _tell(run, points)
        return RunRequest.RUN


def child(home: str, *, honest: bool) -> None:
    torch.set_num_threads(1)
    lab = Lab(Settings.from_env({"LAB_HOME": home}))
    lab.store.points = (HonestPoints if honest else DishonestPoints)(lab.store.context)
    work(lab, ending=threading.Event(), idle_s=0.3)


def _answer(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    sklearn.datasets.load_digits()  # so that no child has to import it
    _answer("ready")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            with Path(order["home"], "child.log").open("a") as sys.stderr:
                child(order["home"], honest=order["honest"])
            os._exit(0)
        _answer(str(pid))
        os.waitpid(pid, 0)
        os.write(ACKNOWLEDGED, b"gone\n")
        _answer("gone")


if __name__ == "__main__":
    main()

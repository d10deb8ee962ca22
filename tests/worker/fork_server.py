"""A fork server for the kill tests: a separate process that imports torch once and forks workers that can be killed.

It reads commands from standard input, one JSON object per line: {"home": path, "commit": bool}. For each command, a
child trains the runs queued there and reports every batch of points through the pipe on file descriptor 3 *after* the
store acknowledged it; a line "exited" follows when the child has exited. With "commit" false, the child reports points
that it never committed: the control that the tests must detect.
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
import torch._dynamo  # the first optimizer imports it; imported here, so that no child has to

from lab.runs.points import Points
from lab.runs.records import RunRequest, Series
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import work

ACKNOWLEDGED = 3


def _report(run: str, points: Mapping[str, Series]) -> None:
    # Lines of this size reach the pipe completely or not at all (PIPE_BUF), even if the process is killed here.
    for name, series in points.items():
        for first in range(0, len(series.step), 200):
            steps = series.step[first : first + 200].tolist()
            os.write(ACKNOWLEDGED, (json.dumps([run, name, steps]) + "\n").encode())


class CommittedPoints(Points):
    """Reports points after they were committed."""

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        request = super().append(run, lease, points, progress=progress)
        _report(run, points)
        return request


class UncommittedPoints(Points):
    """Reports points without committing them."""

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        _report(run, points)
        return RunRequest.RUN


def child(home: str, *, commit: bool) -> None:
    torch.set_num_threads(1)
    lab = Lab(Settings.from_env({"LAB_HOME": home}))
    lab.store.points = (CommittedPoints if commit else UncommittedPoints)(lab.store.context)
    work(lab, ending=threading.Event(), idle_s=0.3)


def _respond(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    sklearn.datasets.load_digits()  # imported here, so that no child has to
    _respond("ready")
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            with Path(command["home"], "child.log").open("a") as sys.stderr:
                child(command["home"], commit=command["commit"])
            os._exit(0)
        _respond(str(pid))
        os.waitpid(pid, 0)
        os.write(ACKNOWLEDGED, b"exited\n")
        _respond("exited")


if __name__ == "__main__":
    main()

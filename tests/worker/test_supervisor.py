"""The supervisor's card: whole or not there, and nothing that lies in its place stops anybody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.runs.owner import Owner
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.launch import stop_mismatched_supervisor
from tests.worker.worker_runs import SMALL, open_lab

_OF_A_DEAD_PROCESS = {"pid": 1, "pid_start": "never", "host": Owner.of_this_process().host, "settings": {}}


@pytest.mark.parametrize("text", ["", '{"pid": 1', "[]", "{}"])
def test_a_torn_pid_file_keeps_nobody_from_asking_for_a_run(tmp_path: Path, text: str) -> None:
    lab = open_lab(tmp_path)
    (tmp_path / "supervisor.json").write_text(text)
    assert lab.submissions.submit(lab.validation.resolve(SMALL)).run.id


_ON_A_FULL_DISK = """
import resource, signal, sys
from lab.settings import Settings
from lab.worker.supervisor.process import _write_own_pid_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
_write_own_pid_file(Settings.from_env({"LAB_HOME": sys.argv[1]}))
"""


def test_a_pid_file_that_cannot_be_written_leaves_the_one_before_whole(tmp_path: Path) -> None:
    card = tmp_path / "supervisor.json"
    card.write_text(json.dumps(_OF_A_DEAD_PROCESS))
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert "no pid file could be written (File too large)" in done.stderr
    assert json.loads(card.read_text()) == _OF_A_DEAD_PROCESS


def test_a_supervisor_that_leaves_by_itself_just_now_is_dismissed_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = Owner.of_this_process()
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    card = {"pid": me.pid, "pid_start": me.pid_start, "host": me.host, "settings": {"LAB_DATA": "elsewhere"}}
    (tmp_path / "supervisor.json").write_text(json.dumps(card))

    def gone(_pid: int, _signal: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)  # between the look at the process and the signal
    stop_mismatched_supervisor(settings)

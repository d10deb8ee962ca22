"""The supervisor's pid file: complete or absent, and invalid content in its place prevents nothing."""

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

_OF_AN_EXITED_PROCESS = {"pid": 1, "pid_start": "never", "host": Owner.of_this_process().host, "settings": {}}


@pytest.mark.parametrize("text", ["", '{"pid": 1', "[]", "{}"])
def test_a_truncated_pid_file_does_not_prevent_submitting_a_run(tmp_path: Path, text: str) -> None:
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


def test_a_pid_file_that_cannot_be_written_leaves_the_previous_one_intact(tmp_path: Path) -> None:
    pid_file = tmp_path / "supervisor.json"
    pid_file.write_text(json.dumps(_OF_AN_EXITED_PROCESS))
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert "no pid file could be written (File too large)" in done.stderr
    assert json.loads(pid_file.read_text()) == _OF_AN_EXITED_PROCESS


def test_a_mismatched_supervisor_that_exits_before_the_signal_counts_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = Owner.of_this_process()
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    pid_file = {"pid": me.pid, "pid_start": me.pid_start, "host": me.host, "settings": {"LAB_DATA": "elsewhere"}}
    (tmp_path / "supervisor.json").write_text(json.dumps(pid_file))

    def kill(_pid: int, _signal: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)  # the process exits between the check and the signal
    stop_mismatched_supervisor(settings)

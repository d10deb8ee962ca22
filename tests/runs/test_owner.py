"""The identity of processes where there is no /proc, as on macOS: the host's name and the start of a process.

The tests run on Linux. They hide /proc's files from `lab.runs.owner`, and stand in for macOS' `scutil` and for a change
of the clock.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.runs import owner
from lab.runs.owner import Owner, is_alive, process_start, this_host


@pytest.fixture
def without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(owner, "_NAMESPACE", tmp_path / "absent")
    monkeypatch.setattr(owner, "_BOOT_ID", tmp_path / "absent")
    owner._name_of_mac.cache_clear()
    yield
    owner._name_of_mac.cache_clear()


@pytest.mark.usefixtures("without_proc")
def test_the_start_of_a_process_does_not_change_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before, own = process_start(os.getpid()), Owner.of_this_process()
    changed = psutil.boot_time() + 3600.0  # what psutil derives from a clock that was set forward by an hour
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: changed)
    assert process_start(os.getpid()) == before
    assert is_alive(own)


@pytest.mark.usefixtures("without_proc")
def test_two_processes_agree_on_a_start_and_an_exited_process_has_none() -> None:
    code = (
        "import pathlib; from lab.runs import owner; owner._BOOT_ID = pathlib.Path('/absent'); "
        f"print(owner.process_start({os.getpid()}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.read().strip() == process_start(os.getpid())
    assert process_start(child.pid) is None


@pytest.mark.usefixtures("without_proc")
def test_a_mac_keeps_its_name_when_the_network_gives_it_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scutil = tmp_path / "scutil"
    scutil.write_text('#!/bin/sh\n[ "$*" = "--get LocalHostName" ] && echo Annas-MacBook\n')
    scutil.chmod(0o755)
    monkeypatch.setattr(owner, "_SCUTIL", str(scutil))
    monkeypatch.setattr(sys, "platform", "darwin")
    names = []
    for host in ("annas-macbook.local", "dhcp-17.uni.example"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        names.append(this_host())
    assert names == ["Annas-MacBook"] * 2


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize(
    ("system", "tool"), [("darwin", "/absent/scutil"), ("darwin", "/bin/false"), ("freebsd15", "")]
)
def test_without_that_name_the_host_name_is_used(monkeypatch: pytest.MonkeyPatch, system: str, tool: str) -> None:
    monkeypatch.setattr(owner, "_SCUTIL", tool)
    monkeypatch.setattr(sys, "platform", system)
    assert this_host() == socket.gethostname()

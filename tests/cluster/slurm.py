"""A private Slurm cluster: one node on loopback, with its daemons, keys and files in one folder.

Its programs are those of Debian's packages `slurm-wlm` and `munge`. If they are not installed, or this is not root, the
tests that need it are skipped with the reason; with `CI` in the environment they fail instead.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from lab.temporary_folders import temporary_folder
from tests.processes import end_processes_of

_START_S = 60.0
_END_S = 30.0
_CONFIG = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=10
KillWait=30
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def skip(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class SlurmCluster:
    """One controller with one node. config: the path that the variable SLURM_CONF must contain."""

    def __init__(self, folder: Path, *, cpus: int = 2) -> None:
        self.folder = folder
        self.config = folder / "slurm.conf"
        folder.chmod(0o755)  # munged and the daemons run as different users
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir()
        key = folder / "munge" / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        shutil.chown(folder / "munge", "munge", "munge")
        shutil.chown(key, "munge", "munge")
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        self.config.write_text(_CONFIG.format(host=host, folder=folder, ports=_free_ports(), cpus=cpus))

    def start(self) -> None:
        """Start the daemons and wait until the node accepts jobs."""
        place = self.folder / "munge"
        files = [f"--{kind}-file={place}/munged.{kind}" for kind in ("pid", "log", "seed")]
        munged = ["munged", f"--key-file={place}/munge.key", f"--socket={place}/munge.socket", *files]
        self._start(["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", *munged])
        self._start(["slurmctld", "-c"])
        self._start(["slurmd"])
        end = time.monotonic() + _START_S
        while self.ask("sinfo", "--noheader", "--format=%t", check=False).strip() != "idle":
            assert time.monotonic() < end, (self.folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """Cancel the jobs, then stop the daemons."""
        self.ask("scancel", "--user=root", check=False)
        time.sleep(1.0)
        for name in ("slurmd.pid", "slurmctld.pid", "munge/munged.pid"):
            try:
                daemon = psutil.Process(int((self.folder / name).read_text()))
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(_END_S)  # otherwise it writes its state into a folder that is being removed
            except (OSError, ValueError, psutil.Error):  # it never started, or has exited
                continue

    def ask(self, *command: str, check: bool = True) -> str:
        """Return the output of a Slurm command."""
        done = subprocess.run(
            command,
            env={**os.environ, "SLURM_CONF": str(self.config)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def _start(self, command: list[str]) -> None:
        environment = {**os.environ, "SLURM_CONF": str(self.config)}
        with (self.folder / "start.log").open("ab") as log:  # the daemon would hold a pipe open
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_START_S,
                check=False,
            )
        assert done.returncode == 0, (self.folder / "start.log").read_text()[-2000:]


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def started_slurm() -> Iterator[SlurmCluster]:
    """Yield a cluster whose node is idle; it and its files are removed afterwards."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if missing:
        skip(
            f"{', '.join(missing)} not installed: install Debian's slurm-wlm and munge "
            "(`make test-cluster` does, as root)"
        )
    if os.geteuid() != 0:
        skip("the tests of Slurm start its daemons, which requires root")
    # The folder is not one of pytest's, because munge has to read it.
    with temporary_folder("convlab-slurm-", within=Path("/tmp"), end=end_processes_of) as folder:
        cluster = SlurmCluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()

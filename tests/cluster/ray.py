"""A private Ray cluster: two nodes with one processor each, in a network namespace that has only loopback.

Ray is not a requirement of the lab: its programs are in `LAB_RAY_BIN`, otherwise in `.venv-ray`, which `make
test-cluster` creates. If they or the namespace are not available, the tests are skipped with the reason; with `CI` in
the environment they fail.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.temporary_folders import temporary_folder
from tests.cluster.slurm import skip
from tests.processes import end_processes_of

ROOT = Path(__file__).resolve().parents[2]
HEAD, SECOND = "127.0.0.2", "127.0.0.3"
_START_S = 240.0


class RayCluster:
    """A head and a second node. address, token: of the dashboard, which is inside the namespace."""

    address = "http://127.0.0.1:8265"

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._bin = folder, programs
        self.token = secrets.token_hex(24)
        self.space = folder.name
        (folder / "home").mkdir()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "HOME": str(folder / "home"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def start(self) -> None:
        """Create the namespace and start the head."""
        subprocess.run(["ip", "netns", "add", self.space], check=True, timeout=30)
        subprocess.run(["ip", "-n", self.space, "link", "set", "lo", "up"], check=True, timeout=30)
        head = [
            "--head",
            f"--node-ip-address={HEAD}",
            "--port=6379",
            "--dashboard-host=127.0.0.1",
            "--dashboard-port=8265",
        ]
        self._start([*head, "--include-dashboard=true", f"--temp-dir={self.folder}/ray"])

    def add_node(self, address: str = SECOND, port: int = 52_366) -> None:
        """Start another node. port: of its agent, without which Ray returns no logs of its jobs.

        It has its own folder, as on another machine: a node that unpacks code for the first time removes what is in the
        folder, and in a shared one that is the code which a worker of the other node is about to import.
        """
        place = [f"--address={HEAD}:6379", f"--node-ip-address={address}", f"--temp-dir={self.folder}/{address}"]
        self._start([*place, f"--dashboard-agent-listen-port={port}"])

    def _start(self, words: list[str]) -> None:
        common = ["--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats"]
        with (self.folder / "start.log").open("ab") as log:
            done = subprocess.run(
                [*self.inside(), str(self._bin / "ray"), "start", *words, *common],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_START_S,
                check=False,
            )
        assert done.returncode == 0, (self.folder / "start.log").read_text()[-3000:]

    def inside(self) -> list[str]:
        """Return the prefix of a command that runs in the namespace."""
        return ["ip", "netns", "exec", self.space]

    def processes(self) -> list[psutil.Process]:
        """Return every process of the namespace, including orphans."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.space], capture_output=True, text=True, timeout=30, check=False
        )
        return [psutil.Process(int(pid)) for pid in listed.stdout.split() if psutil.pid_exists(int(pid))]

    def raylet(self, address: str = SECOND) -> psutil.Process:
        """Return the process of the node with this address."""
        for process in self.processes():
            try:
                command = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if command and command[0].endswith("raylet/raylet") and f"--node_ip_address={address}" in command:
                return process
        raise AssertionError(f"there is no node {address}")

    def stop(self) -> None:
        """Kill every process of the namespace, then delete the namespace."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes():
                try:
                    process.send_signal(number)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(3.0)
        subprocess.run(["ip", "netns", "del", self.space], check=False, timeout=30)


@contextmanager
def started_ray() -> Iterator[RayCluster]:
    """Yield a cluster of two nodes; it and its files are removed afterwards."""
    programs = Path(os.environ.get("LAB_RAY_BIN") or ROOT / ".venv-ray" / "bin")
    if not (programs / "ray").exists():
        skip(f"Ray is not in {programs}: `make test-cluster` installs it, or set LAB_RAY_BIN")
    if os.geteuid() != 0 or shutil.which("ip") is None:
        skip("Ray's two nodes need a network namespace: root and Debian's iproute2")
    # Ray's sockets need a short path.
    with temporary_folder("convlab-ray-", within=Path("/tmp"), end=_end_left_cluster) as folder:
        cluster = RayCluster(folder, programs)
        try:
            cluster.start()
            cluster.add_node()
            yield cluster
        finally:
            cluster.stop()


def _end_left_cluster(folder: Path) -> None:
    end_processes_of(folder)
    subprocess.run(["ip", "netns", "del", folder.name], capture_output=True, check=False, timeout=30)

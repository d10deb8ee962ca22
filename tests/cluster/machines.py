"""Two machines on one: network namespaces joined by a virtual cable; the second has its own host name, pids and home.

The test process itself moves into the namespace of the lab, so whatever it starts or opens is there. The network of the
host is not changed.
"""

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

LAB, OTHER = "10.231.7.1", "10.231.7.2"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=20)


class Network:
    """Two network namespaces joined by a virtual cable (a veth pair)."""

    def __init__(self) -> None:
        name = secrets.token_hex(3)
        self.lab, self.other, self._cable = f"lab-{name}", f"far-{name}", f"v{name}"

    def build(self) -> None:
        """Create the namespaces and the cable. Raises `CalledProcessError` if that is not permitted."""
        for space in (self.lab, self.other):
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _ip("link", "add", self._cable, "netns", self.lab, "type", "veth", "peer", "name", "far", "netns", self.other)
        for space, device, address in ((self.lab, self._cable, LAB), (self.other, "far", OTHER)):
            _ip("-n", space, "addr", "add", f"{address}/30", "dev", device)
            _ip("-n", space, "link", "set", device, "up")

    def pull(self) -> None:
        """Pull the cable."""
        _ip("-n", self.lab, "link", "set", self._cable, "down")

    def plug(self) -> None:
        """Plug the cable in again."""
        _ip("-n", self.lab, "link", "set", self._cable, "up")

    def remove(self) -> None:
        """Delete the namespaces and with them the cable."""
        for space in (self.lab, self.other):
            _ip("netns", "del", space, check=False)

    def start(self, words: Sequence[str], *, host: str, environment: Mapping[str, str], log: Path) -> "Machine":
        """Start a command on the other machine, which has this host name and sees only its own processes."""
        inner = f'hostname {host} && exec "$@"'
        command = ["ip", "netns", "exec", self.other, "unshare", "--uts", "--pid", "--fork", "--mount-proc"]
        command += ["--kill-child", "sh", "-c", inner, "sh", *words]
        with log.open("ab") as out:
            process = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return Machine(process, log)


class Machine:
    """A command that runs on the other machine."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self._log = process, log

    @property
    def output(self) -> str:
        """The output that it has written so far."""
        return self._log.read_text(errors="replace")

    def interrupt(self) -> None:
        """Send SIGINT to the command, as Ctrl-C does."""
        inner = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True, timeout=10
        )
        os.kill(int(inner.stdout.split()[0]), 2)

    def switch_off(self) -> None:
        """Kill everything there at once."""
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def two_machines() -> Iterator[Network]:
    """Yield the network with the test in the namespace of the lab; skip the test if the system does not permit it."""
    for program in ("ip", "unshare", "pgrep"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: install Debian's iproute2, util-linux and procps")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    network = Network()
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        try:
            network.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be created ({error.stderr.strip()})")
        _move_to(Path("/var/run/netns", network.lab))
        yield network
    finally:
        _set(own)
        os.close(own)
        network.remove()


def _move_to(namespace: Path) -> None:
    handle = os.open(namespace, os.O_RDONLY)
    try:
        _set(handle)
    finally:
        os.close(handle)


def _set(handle: int) -> None:
    """Move this thread, and what it starts from now on, into a namespace (`os.setns` needs Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")

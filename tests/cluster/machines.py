"""Two machines on one: network namespaces joined by a cable, the second one with its own host name, processes and home.

The test process itself moves into the lab's end, so whatever it starts or opens is there; the host's own network is not touched.
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
    """Two namespaces with one cable between them."""

    def __init__(self) -> None:
        name = secrets.token_hex(3)
        self.lab, self.other, self._cable = f"lab-{name}", f"far-{name}", f"v{name}"

    def build(self) -> None:
        """Make namespaces and cable. Raises `CalledProcessError` where that is not allowed."""
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
        """Take everything away."""
        for space in (self.lab, self.other):
            _ip("netns", "del", space, check=False)

    def start(self, words: Sequence[str], *, host: str, environment: Mapping[str, str], log: Path) -> "Machine":
        """Start a command on the other machine, which has this host name and sees its own processes only."""
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
    def said(self) -> str:
        """What it has written to its terminal."""
        return self._log.read_text(errors="replace")

    def interrupt(self) -> None:
        """Press Ctrl-C there."""
        inner = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True, timeout=10
        )
        os.kill(int(inner.stdout.split()[0]), 2)

    def switch_off(self) -> None:
        """End everything there at once."""
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def two_machines() -> Iterator[Network]:
    """Give the network, with the test in the lab's end; skip where the system does not allow it."""
    for program in ("ip", "unshare", "pgrep"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here: install Debian's iproute2, util-linux and procps")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    network = Network()
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        try:
            network.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces can be made here ({error.stderr.strip()})")
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
    """Move this thread, and what it starts from now on, into a namespace (`os.setns` came with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")

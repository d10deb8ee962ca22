"""A private Postgres server on a free port of 127.0.0.1, which can be stopped, killed and started again.

Its programs are those of Debian's package `postgresql`, or those in `LAB_POSTGRES_BIN`. If there are none, the tests
that need it are skipped with the reason; with `CI` in the environment they fail instead.
"""

import os
import secrets
import shutil
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
from tests.waiting import wait_until

_DEBIAN = Path("/usr/lib/postgresql")
_START_S = 120.0
_TRIES = 10  # after kill -9 a start is refused until the processes of the old server have exited


def programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl`, or skip the test (fail it in CI)."""
    named = os.environ.get("LAB_POSTGRES_BIN", "")
    found = [Path(named)] if named else sorted(_DEBIAN.glob("*/bin"))
    if not found and (on_path := shutil.which("initdb")):
        found = [Path(on_path).parent]
    for folder in reversed(found):
        if (folder / "initdb").exists():
            return folder
    reason = "Postgres is not installed: install Debian's postgresql, or set LAB_POSTGRES_BIN"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class PostgresServer:
    """One server with its files in its own folder. url: the address of its database.

    address: where it listens; other addresses than 127.0.0.1 are open to their whole network, so only in a namespace.
    """

    def __init__(self, folder: Path, *, address: str = "127.0.0.1") -> None:
        self._bin, self._folder, self._address = programs(), folder, address
        self._data = folder / "data"
        with socket.socket() as probe:
            probe.bind((address, 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"postgresql+psycopg://lab@{address}:{self.port}/postgres"
        if os.geteuid() == 0:  # Postgres refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "lab", "--auth=trust", "--encoding=UTF8", "--no-locale", "-N")
        if address != "127.0.0.1":
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        options = f"-c listen_addresses={self._address} -c port={self.port} -c unix_socket_directories={self._folder}"
        for attempt in range(_TRIES):
            done = self._control(
                "start", "-o", f"{options} -c max_connections=200 -c fsync=off", check=attempt == _TRIES - 1
            )
            if done == 0:
                return
            time.sleep(0.5)

    def new_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"lab_{secrets.token_hex(6)}"
        self._run("createdb", "-h", self._address, "-p", str(self.port), "-U", "lab", name)
        return self.url.rpartition("/")[0] + "/" + name

    def stop(self) -> None:
        """Stop the server at once; open transactions are rolled back and clients are notified."""
        self._control("stop", "-m", "immediate")

    def kill(self) -> None:
        """Kill the server and its sessions, as a crash would: a session that is left could respond once more."""
        first = psutil.Process(self.pid)
        first.suspend()  # so that it starts no session meanwhile
        every = [first, *first.children(recursive=True)]
        for process in every:
            process.kill()
        wait_until(lambda: not any(map(_is_alive, every)))

    @property
    def pid(self) -> int:
        """The pid of the first process of the server."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    @property
    def running(self) -> bool:
        """Whether the server is alive. A killed one that is still a zombie has the state file of a live one."""
        return self._control("status", check=False) == 0 and _is_alive(psutil.Process(self.pid))

    def _control(self, *words: str, check: bool = True) -> int:
        log = str(self._folder / "log")  # without a log file the server would hold the caller's pipe open
        return self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(_START_S), "-l", log, *words, check=check)

    def _run(self, program: str, *words: str, check: bool = True) -> int:
        command = [str(self._bin / program), *words]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=2 * _START_S,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{program} {words}: {done.stderr}"
        return done.returncode


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def started_server(*, address: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """Yield a server that accepts connections; it and its files are removed afterwards."""
    # The folder is not one of pytest's, because the server runs as another user.
    with temporary_folder("convlab-postgres-", end=end_processes_of) as folder:
        server = PostgresServer(folder, address=address)
        try:
            server.start()
            yield server
        finally:
            if server.running:
                server.stop()

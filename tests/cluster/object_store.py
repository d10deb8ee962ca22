"""A private object store: moto's server on a free port, which speaks S3 and can be made unreachable for a while.

moto is not a requirement of the lab: its program is in `LAB_MOTO_BIN`, otherwise in `.venv-moto`, which `make
test-cluster` creates; s3fs, the client of the lab, is in the lab's own environment. If one of them is not installed,
the tests are skipped with the reason; with `CI` in the environment they fail. moto loses its objects when it exits, so
an outage is one of its port: a relay in front of the server, which cuts its connections and refuses new ones.
"""

import os
import selectors
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.cluster.slurm import skip

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "lab"
_START_S = 120.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Relay(socketserver.ThreadingTCPServer):
    """Forwards connections to another port of this machine until it is cut."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, target: int) -> None:
        self.target, self.open = target, set[socket.socket]()
        super().__init__(("127.0.0.1", port), _Connection)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def cut(self) -> None:
        self.shutdown()
        self.server_close()
        for one in list(self.open):
            one.close()


class _Connection(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        with (
            socket.create_connection(("127.0.0.1", self.server.target)) as upstream,
            selectors.DefaultSelector() as ready,
        ):
            ends = {self.request: upstream, upstream: self.request}
            self.server.open |= set(ends)
            for end in ends:
                ready.register(end, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in ready.select(0.2):
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]  # a socket
                        if not data:
                            return
                        ends[key.fileobj].sendall(data)
            except (OSError, ValueError):  # it was cut
                return
            finally:
                self.server.open -= set(ends)


class ObjectStore:
    """A server with the empty bucket `lab`. environment: the variables that a process needs to reach it."""

    def __init__(self, program: Path, log: Path) -> None:
        self.port, self._own_port = _free_port(), _free_port()
        self.address = f"http://127.0.0.1:{self._own_port}"
        self._relay = _Relay(self.port, self._own_port)
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(program), "-H", "127.0.0.1", "-p", str(self._own_port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait(self) -> None:
        """Wait until it responds, and create the bucket."""
        end = time.monotonic() + _START_S
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{self.address}/{BUCKET}", method="PUT"), timeout=10)
                return
            except OSError:
                assert self._process.poll() is None, "moto's server has exited"
                assert time.monotonic() < end, f"moto's server did not respond within {_START_S:.0f} s"
                time.sleep(0.2)

    def listing(self) -> str:
        """Return the list of the bucket's objects, as S3 writes it."""
        with urllib.request.urlopen(f"{self.address}/{BUCKET}?list-type=2", timeout=30) as answer:
            return str(answer.read().decode())

    def go_away(self) -> None:
        """Cut its connections and refuse new ones from now on."""
        self._relay.cut()

    def come_back(self) -> None:
        """Accept connections again."""
        self._relay = _Relay(self.port, self._own_port)

    def end(self) -> None:
        """Kill the server; its objects are lost."""
        self._relay.cut()
        self._process.kill()
        self._process.wait(30)


@contextmanager
def started_object_store(folder: Path) -> Iterator[ObjectStore]:
    """Yield a server that responds."""
    if find_spec("s3fs") is None:
        skip("s3fs is not installed: `make test-cluster` installs it")
    program = Path(os.environ.get("LAB_MOTO_BIN") or ROOT / ".venv-moto" / "bin") / "moto_server"
    if not program.exists():
        skip(f"{program} does not exist: `make test-cluster` installs moto, or set LAB_MOTO_BIN")
    store = ObjectStore(program, folder / "moto.log")
    try:
        store.wait()
        yield store
    finally:
        store.end()

"""Latency of `/_stcore/health` while foreign pages request WebSockets: `python -m benchmarks.handshakes`.

A separate process sends 1,000 handshakes with foreign origins: one after another (a browser opens the next one to a
host only when the last one has ended), eight and fifty at a time. All must be answered with 403. An audit hook in the
server counts the connections that it opens.
"""

import argparse
import asyncio
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.guard import guarded_server
from benchmarks.markdown_tables import heading, row

ROOT = Path(__file__).resolve().parent.parent
HANDSHAKES = 1_000
AT_ONCE = (1, 8, 50)
_HOOK = """
import os, sys
def _note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        with open(os.environ["CONNECTIONS"], "a") as file:
            print(event, repr(arguments), file=file)
sys.addaudithook(_note)
"""


async def flood(port: int, at_once: int) -> list[int]:
    """Send the handshakes, `at_once` at a time, and return the HTTP statuses."""
    places = asyncio.Semaphore(at_once)

    async def ask(number: int) -> int:
        async with places:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://{number}.evil.example\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            line = await reader.readline()
            writer.close()
            return int(line.split()[1])

    return await asyncio.gather(*(ask(number) for number in range(HANDSHAKES)))


def health_s(port: int) -> float:
    """Return the seconds of one request to the health route, including connecting."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/_stcore/health")
    with connection.getresponse() as answer:
        if answer.read() != b"ok":
            raise RuntimeError("the server is not healthy")
    connection.close()
    return time.perf_counter() - began


def measure(port: int, at_once: int) -> str:
    """Return one line of the table: time of the handshakes, and the times of the health route meanwhile.

    Raises `RuntimeError` if a handshake is accepted.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.handshakes", "flood", str(port), str(at_once)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    times = []
    while process.poll() is None:
        times.append(1000 * health_s(port))
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    statuses = set(json.loads(process.communicate()[0]))
    low, middle, high = min(times), statistics.median(times), max(times)
    if statuses != {403}:
        raise RuntimeError(f"some handshakes were answered with {statuses - {403}}")
    return row(at_once, f"{seconds:.1f}", len(times), f"{middle:.1f} ms", f"{low:.1f} to {high:.1f} ms")


def main() -> None:
    """Start a server, send the handshakes and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        (Path(folder) / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
        connections = Path(folder) / "connections"
        connections.touch()
        places = {"PYTHONPATH": folder, "CONNECTIONS": str(connections)}
        with guarded_server(Path(folder) / "home", places) as port:
            for _ in range(300):
                with suppress(OSError):
                    health_s(port)
                    break
                time.sleep(0.1)
            print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            print(heading("concurrent handshakes", "seconds", "health route: n", "median", "range"))
            for at_once in AT_ONCE:
                print(measure(port, at_once), flush=True)
            print(f"connections and name lookups of the server: {connections.read_text().count(chr(10))}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["flood"]:
        print(json.dumps(asyncio.run(flood(int(sys.argv[2]), int(sys.argv[3])))))
    else:
        main()

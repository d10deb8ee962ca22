"""Stores on SQLite and Postgres, a clock that only the test moves, and processes that the test starts and kills."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from lab.runs.owner import Owner, process_start
from lab.runs.serving import WORKER
from lab.runs.store import RunStore
from tests.new_stores import SpareStores, schema_url
from tests.postgres import started_server


class Clock:
    """Seconds since the epoch, which change only when a test changes `now`."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the address of a Postgres server: LAB_TEST_DATABASE_URL, or one that the tests start."""
    configured = os.environ.get("LAB_TEST_DATABASE_URL", "")
    if configured:
        yield configured
        return
    with started_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def spare_stores(postgres_url: str) -> SpareStores:
    """Return the Postgres stores that tests use one after the other."""
    return SpareStores(postgres_url)


@pytest.fixture
def postgres_store(spare_stores: SpareStores) -> Iterator[str]:
    """Return the address of an empty store on Postgres."""
    with spare_stores.lend() as url:
        yield url


@pytest.fixture(scope="module")
def shared_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_store(
    request: pytest.FixtureRequest, shared_clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunStore]:
    """Return a store of each kind for all tests of a file, which fill it once and then only read."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'home' / 'lab.db'}"
        else:
            url = stack.enter_context(request.getfixturevalue("spare_stores").lend())
        opened = RunStore.open(url, clock=shared_clock)
        yield opened
        opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'lab.db'}"
    return str(request.getfixturevalue("postgres_store"))


@pytest.fixture(params=["sqlite", "postgres"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return an address of each kind without a store, for tests of the migrations."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'lab.db'}"
        return
    name, admin = f"bare_{secrets.token_hex(6)}", create_engine(request.getfixturevalue("postgres_url"))
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield schema_url(request.getfixturevalue("postgres_url"), name)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    admin.dispose()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[RunStore]:
    opened = RunStore.open(url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def me() -> Owner:
    return Owner.of_this_process()


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[Callable[[], "Process"]]:
    """Return a function that starts idle processes for the test's store; all of them are killed after the test."""
    started: list[Process] = []
    database = request.getfixturevalue("url") if "url" in request.fixturenames else ""

    def start() -> Process:
        started.append(Process(database))
        return started[-1]

    yield start
    for one in started:
        one.kill()


class Process:
    """A process of this machine that sleeps until it is killed, named as a worker.

    database: for which it was started, "" for none.
    """

    def __init__(self, database: str = "") -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")}
        self._popen = subprocess.Popen(
            [WORKER, "86400"],
            executable=shutil.which("sleep"),
            env={**environment, "LAB_DATABASE": database},
        )
        while not Path(f"/proc/{self._popen.pid}/environ").read_bytes():
            time.sleep(0.001)  # empty for a moment while the kernel starts the program
        self.owner = Owner(
            host=Owner.of_this_process().host,
            pid=self._popen.pid,
            pid_start=process_start(self._popen.pid) or "",
        )

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

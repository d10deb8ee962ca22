"""SQLite's pitfalls: journal, locks, permissions, full disks, forks. Each has an error message or a remedy."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.errors import ReadOnlyError, StoreBusyError, StoreError, StoreUnreachableError
from lab.runs.database import (
    NETWORK_FILE_SYSTEMS,
    Database,
    file_system_of,
    journal_mode,
    refuse_old_sqlite,
    wal_is_safe,
)
from lab.runs.database_errors import explain_refusal
from lab.runs.owner import Owner
from lab.runs.records import RunRequest
from lab.runs.schema import migrate
from lab.runs.store import RunStore
from tests.runs.runs_data import claimed, series, submit
from tests.waiting import LIMIT_S, wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "deeper" / "lab.db"


@pytest.fixture
def sqlite_store(path: Path) -> RunStore:
    return RunStore.open(f"sqlite:///{path}", busy_s=0.2)


def test_the_busy_timeout_is_the_one_that_the_store_was_opened_with(sqlite_store: RunStore) -> None:
    with sqlite_store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 200


def test_an_sqlite_without_returning_is_refused_with_its_version() -> None:
    for version in ("3.26.0", "3.34.1"):
        with pytest.raises(StoreError, match=rf"uses SQLite {version}, but the run store needs 3\.35 or newer"):
            refuse_old_sqlite(version)
    for version in ("3.35.0", "3.40.1", "4.0.0"):
        refuse_old_sqlite(version)


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ("3.40.1", False),
        ("3.44.6", True),
        ("3.44.5", False),
        ("3.50.7", True),
        ("3.50.6", False),
        ("3.51.2", False),
        ("3.51.3", True),
        ("3.52.0", True),
        ("4.0.0", True),
    ],
)
def test_wal_is_used_only_with_versions_of_sqlite_in_which_it_is_safe(version: str, safe: bool) -> None:
    assert wal_is_safe(version) is safe
    assert journal_mode(version, "ext4") == ("WAL" if safe else "TRUNCATE")


@pytest.mark.parametrize("file_system", sorted(NETWORK_FILE_SYSTEMS))
def test_wal_is_never_used_on_a_network_file_system(file_system: str) -> None:
    assert journal_mode("4.0.0", file_system) == "TRUNCATE"


def test_the_file_system_of_a_path_is_known(tmp_path: Path) -> None:
    assert file_system_of(tmp_path) not in {"", *NETWORK_FILE_SYSTEMS}
    assert file_system_of(Path("/proc/self")) == "proc"


def test_the_chosen_journal_mode_is_in_effect(sqlite_store: RunStore) -> None:
    with sqlite_store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one().upper() == journal_mode(
            sqlite3.sqlite_version, "ext4"
        )
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


def test_a_file_left_in_wal_mode_is_switched_back(sqlite_store: RunStore, path: Path) -> None:
    if wal_is_safe(sqlite3.sqlite_version):
        pytest.skip("the write-ahead log of this SQLite is safe, so it is used")
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    other.close()
    submit(sqlite_store)
    with sqlite_store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "truncate"


def test_the_file_and_its_folders_are_private(sqlite_store: RunStore, path: Path) -> None:
    submit(sqlite_store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("lab.db-journal").stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_lock_held_too_long_by_another_process_is_reported_as_the_reason(sqlite_store: RunStore, path: Path) -> None:
    run = submit(sqlite_store)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError, match=r"held by another process for more than 0.2 s, so nothing was written"):
        sqlite_store.edits.rename(run.id, "new")
    assert sqlite_store.runs.get(run.id).name == "lenet5"  # reading still works
    holder.execute("ROLLBACK")
    holder.execute("PRAGMA journal_mode=DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusyError, match=r"for more than 0.2 s, so it could not be read: try again"):
        sqlite_store.runs.get(run.id)
    holder.execute("ROLLBACK")
    holder.close()
    assert sqlite_store.edits.rename(run.id, "new").name == "new"


def test_a_waiting_writer_gets_its_turn(path: Path) -> None:
    store = RunStore.open(f"sqlite:///{path}", busy_s=LIMIT_S)
    run = submit(store)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
    release.start()
    assert store.edits.rename(run.id, "new").name == "new"
    release.join()
    holder.close()


def test_many_threads_write_and_read_without_a_lock_error(sqlite_store: RunStore, path: Path, me: Owner) -> None:
    store = RunStore.open(f"sqlite:///{path}")
    runs = [claimed(store, me, str(n), slot=f"cpu:{n}") for n in range(4)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(10):
                store.points.append(runs[number].id, runs[number].lease, {"a": series("a", [step], [float(number)])})
                store.runs.list(where="state:running")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number, run in enumerate(runs):
        assert store.points.read(run.id)["a"].value.tolist() == [float(number)] * 10


def test_a_forked_child_opens_its_own_connections(sqlite_store: RunStore) -> None:
    run = submit(sqlite_store)
    code = (
        "import os, sys; from lab.runs.store import RunStore\n"
        "store = RunStore.open(sys.argv[1]); engine = store.database.engine\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    fine = store.database.engine is not engine\n"
        "    store.edits.rename(sys.argv[2], 'from the child')\n"
        "    os._exit(0 if fine else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store.database.engine is engine)\n"
    )
    url = str(sqlite_store.database.url)
    out = subprocess.run([sys.executable, "-c", code, url, run.id], cwd=ROOT, capture_output=True, text=True)
    assert (out.stdout, out.stderr) == ("0 True\n", "")
    assert sqlite_store.runs.get(run.id).name == "from the child"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "'nonsense', which is not a database URL: use sqlite:////path/lab.db or"),
        ("nosuch://x/y", "which is not a database URL"),
        ("mysql://me:secret@x/y", r"'mysql://me:\*\*\*@x/y', but its driver MySQLdb is not installed"),
        ("sqlite://", "An in-memory SQLite store is visible to one process: use a file"),
        ("sqlite:////proc/no/lab.db", "cannot be created .*: choose another location with LAB_HOME"),
    ],
)
def test_an_unusable_address_is_refused_with_a_remedy(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        RunStore.open(url)


def test_a_read_only_lab_without_a_store_says_how_to_get_one(path: Path) -> None:
    with pytest.raises(StoreError, match=r"no run store at .* to read: start the lab once without LAB_READ_ONLY"):
        RunStore.open(f"sqlite:///{path}", read_only=True)
    assert not path.exists()


def test_a_file_that_is_not_a_database_is_reported_as_damaged(tmp_path: Path) -> None:
    file = tmp_path / "lab.db"
    file.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"is damaged .*: restore it from a copy"):
        RunStore.open(f"sqlite:///{file}")


def test_a_password_never_appears_in_a_message() -> None:
    database = Database("postgresql+psycopg://user:secret@127.0.0.1:1/lab")
    words = r"cannot be reached .* check that the database server"
    with pytest.raises(StoreUnreachableError, match=words) as caught, database.read():
        pass
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 300


FULL = """
import os, resource, signal, sys
import numpy as np
from lab.config import RunConfig
from lab.errors import StoreError
from lab.runs.owner import Owner
from lab.runs.records import Series
from lab.runs.store import RunStore
store = RunStore.open(sys.argv[1])
store.queue.submit(RunConfig(), fingerprint="f", family="f")
run = store.leases.claim(slot="cpu", owner=Owner.of_this_process())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = os.path.getsize(sys.argv[1].removeprefix("sqlite:///")) + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
acknowledged = 0
try:
    for part in range(200):
        step = np.arange(part * 500, part * 500 + 500)
        store.points.append(run.id, run.lease, {"a": Series("a", step, step * 1.0, step * 1.0)})
        acknowledged = part * 500 + 500
except StoreError as error:
    print(acknowledged)
    print(error)
"""


@pytest.mark.parametrize("free_bytes", [50_000, 300_000])
def test_a_full_disk_is_reported_and_no_acknowledged_point_is_lost(path: Path, free_bytes: int) -> None:
    url = f"sqlite:///{path}"
    out = subprocess.run([sys.executable, "-c", FULL, url, str(free_bytes)], cwd=ROOT, capture_output=True, text=True)
    assert out.stderr == ""
    acknowledged, sentence = out.stdout.splitlines()
    assert "disk of the run store is full" in sentence
    assert "free some space" in sentence
    store = RunStore.open(url)
    (run,) = store.runs.list()
    found = store.points.read(run.id)["a"]
    assert int(acknowledged) > 0
    assert found.step.tolist() == list(range(int(acknowledged)))
    assert store.leases.request(run.id, RunRequest.STOP)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("database or disk is full", r"is full \("),
        ("disk I/O error", r"is full or failing \(disk I/O error\).*healthy disk"),
    ],
)
def test_a_failing_disk_is_not_reported_as_merely_full(cause: str, words: str) -> None:
    refusal = explain_refusal(sqlite3.OperationalError(cause), where="sqlite:////lab.db", busy_s=1.0, writes=True)
    assert re.search(words, str(refusal))


@pytest.mark.parametrize("state", ["53100", "53200", "58030", "25006", "57014"])
def test_a_temporary_refusal_of_the_server_counts_as_unreachable(state: str, postgres_url: str) -> None:
    """Its disk is full or failing, it is out of memory or read-only, or the statement was cancelled."""
    database = Database(postgres_url)
    refuse = f"DO $$ BEGIN RAISE EXCEPTION 'no space left, read-only' USING ERRCODE = '{state}'; END $$"
    with (
        pytest.raises(
            StoreUnreachableError, match=r"cannot do this at the moment \(no space left, read-only\).* training waits"
        ),
        database.write() as connection,
    ):
        connection.exec_driver_sql(refuse)
    database.close()


@pytest.mark.parametrize(("state", "cause"), [("55P03", "konnte Sperre nicht setzen"), ("40001", "kilit alınamadı")])
def test_a_lock_of_a_server_is_known_by_its_number_in_every_language(state: str, cause: str, postgres_url: str) -> None:
    database = Database(postgres_url, busy_s=2.0)
    with (
        pytest.raises(StoreBusyError, match=r"was held by another process for more than 2 s, so nothing was written"),
        database.write() as connection,
    ):
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION '{cause}' USING ERRCODE = '{state}'; END $$")
    database.close()


def test_a_file_without_write_permission_is_reported(sqlite_store: RunStore, path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can write to every file")
    run = submit(sqlite_store)
    path.chmod(0o400)
    with pytest.raises(ReadOnlyError, match="may not be written by this user"):
        sqlite_store.edits.rename(run.id, "x")


def test_an_owner_is_distinguished_from_a_later_process_with_the_same_pid(process: type, me: Owner) -> None:
    from lab.runs.owner import is_alive, kill

    one = process()
    assert is_alive(one.owner) is True
    assert is_alive(me) is True
    assert is_alive(Owner(host="elsewhere", pid=one.owner.pid, pid_start=one.owner.pid_start)) is None
    reused = Owner(host=one.owner.host, pid=one.owner.pid, pid_start="other")
    assert is_alive(reused) is False
    kill(reused)
    kill(me)
    assert one.alive
    kill(one.owner)
    one.kill()
    assert is_alive(one.owner) is False


def test_an_owner_in_a_container_with_the_same_host_name_is_not_a_process_of_this_host(me: Owner) -> None:
    from lab.runs.owner import is_alive, this_host

    assert me.host == this_host()
    same_name = me.host.split(" ")[0]
    assert is_alive(Owner(host=f"{same_name} pid:[1]", pid=me.pid, pid_start=me.pid_start)) is None


def test_a_zombie_process_is_not_alive() -> None:
    from lab.runs.owner import is_alive, kill, process_start

    child = subprocess.Popen(["sleep", "86400"])
    owner = Owner(Owner.of_this_process().host, child.pid, process_start(child.pid) or "")
    kill(owner)
    wait_until(lambda: is_alive(owner) is False)
    child.wait()


def test_an_empty_file_next_to_saved_files_is_not_taken_for_a_new_store(tmp_path: Path) -> None:
    file, saved = tmp_path / "lab.db", tmp_path / "artifacts"
    file.touch()
    (saved / "0123456789ab").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"lab\.db is empty, but runs have saved files in .*artifacts: restore it"):
        migrate(Database(f"sqlite:///{file}"))
    assert file.stat().st_size == 0
    file.unlink()
    Database(f"sqlite:///{file}").refuse_emptied()  # created again: the runs were on a server before, or were abandoned
    (saved / "0123456789ab").rmdir()
    Database(f"sqlite:///{file}").refuse_emptied()  # another process has just created it

"""Migrations: many processes at once, a newer store refused, a failed step rolled back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from lab.errors import ReadOnlyError, StoreError, StoreVersionError
from lab.runs import headline_columns, migrations, schema
from lab.runs.database import Database
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.store import RunStore
from lab.runs.tables import metadata
from tests.runs.runs_data import CONFIG, submit, write_past_checks

ROOT = Path(__file__).resolve().parents[2]
NEWEST = len(schema.MIGRATIONS)
# One process imports everything and forks sixteen children, which wait for the same byte: modules are imported once,
# and all children open the store at the same time.
OPEN_AT_ONCE = """
import os, sys
from lab.runs.store import RunStore
ready, go = os.pipe(), os.pipe()
children = []
for _ in range(16):
    child = os.fork()
    if child == 0:
        os.close(go[1])
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(RunStore.open(sys.argv[1]).runs.count())
    children.append(child)
for _ in children:
    os.read(ready[0], 1)
os.close(go[1])
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.long
def test_sixteen_processes_can_create_the_store_at_once(bare_url: str) -> None:
    out = subprocess.run(
        [sys.executable, "-c", OPEN_AT_ONCE, bare_url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert (out.stdout, out.stderr) == (f"{[0] * 16}\n", "")


def test_opening_a_store_again_preserves_its_runs(url: str, store: RunStore) -> None:
    run = submit(store)
    again = RunStore.open(url)
    assert again.runs.get(run.id).id == run.id
    again.close()


def test_a_store_of_a_newer_release_is_refused(url: str, store: RunStore) -> None:
    with store.database.write() as connection:
        connection.execute(text("UPDATE lab_schema SET version = 99"))
    with pytest.raises(
        StoreVersionError, match=f"schema 99, but this release of ConvLab reads schemas up to {NEWEST}: update"
    ):
        RunStore.open(url)


def _second(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE runs ADD COLUMN colour TEXT"))


def _broken(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE runs ADD COLUMN half TEXT"))
    connection.execute(text("SELECT nonsense FROM nowhere"))


def test_a_later_migration_runs_once_and_preserves_the_rows(url: str, store: RunStore) -> None:
    run = submit(store)
    database = Database(url)
    for _ in range(2):
        schema.migrate(database, migrations=(*schema.MIGRATIONS, _second))
    with database.read() as connection:
        assert connection.execute(text("SELECT id, colour FROM runs")).all() == [(run.id, None)]
    with pytest.raises(StoreVersionError, match=f"schema {NEWEST + 1}, but this release"):
        RunStore.open(url)
    database.close()


def test_a_migration_that_fails_leaves_the_old_schema(url: str, store: RunStore) -> None:
    run = submit(store)
    database = Database(url)
    with pytest.raises(StoreError, match="nowhere"):
        schema.migrate(database, migrations=(*schema.MIGRATIONS, _broken))
    again = RunStore.open(url)
    assert again.runs.get(run.id).id == run.id
    with pytest.raises(StoreError, match="half"), database.read() as connection:
        connection.execute(text("SELECT half FROM runs"))
    database.close()
    again.close()


def test_a_read_only_lab_does_not_migrate(url: str, store: RunStore) -> None:
    database = Database(url, read_only=True)
    with pytest.raises(StoreVersionError, match=f"has schema {NEWEST} and this release needs {NEWEST + 1}"):
        schema.migrate(database, migrations=(*schema.MIGRATIONS, _second))
    database.close()


def test_a_read_only_lab_reads_and_refuses_every_write(url: str, store: RunStore) -> None:
    run = submit(store)
    reader = RunStore.open(url, read_only=True)
    assert reader.read_only
    assert reader.runs.get(run.id).id == run.id
    assert reader.leases.recover() == []
    for write in (
        lambda: submit(reader, "other"),
        lambda: reader.edits.rename(run.id, "x"),
        lambda: reader.removal.delete(run.id),
        lambda: reader.leases.heartbeat(run.id, 1),
    ):
        with pytest.raises(ReadOnlyError, match="read-only, so nothing was changed: start it without LAB_READ_ONLY"):
            write()
    reader.close()


def test_migrating_the_first_schema_groups_runs_that_differ_only_in_their_seed(url: str, store: RunStore) -> None:
    config = CONFIG.replace(seed=1)
    store.queue.submit(config, fingerprint="a", family="f")
    with store.database.write() as connection:
        connection.execute(text("DROP INDEX runs_setting"))
        connection.execute(text("ALTER TABLE runs DROP COLUMN setting"))
        connection.execute(text("UPDATE lab_schema SET version = 1"))
    again = RunStore.open(url)
    again.queue.submit(config.replace(seed=2), fingerprint="b", family="f")
    again.queue.submit(config.replace(lr=0.5), fingerprint="c", family="f")
    (found,) = again.runs.find_settings([CONFIG]).values()
    assert [run.config.seed for run in found] == [1, 2]
    again.close()


def test_the_migrations_create_the_tables_that_the_code_declares(store: RunStore) -> None:
    tables = metadata.sorted_tables
    with store.database.read() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == {table.name for table in tables}
        for table in tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: column.nullable for column in table.columns}, table.name
            types = {column["name"]: column["type"]._type_affinity for column in found.get_columns(table.name)}
            assert types == {column.name: column.type._type_affinity for column in table.columns}, table.name
            indexes = {(one["name"], bool(one["unique"])) for one in found.get_indexes(table.name)}
            declared = {(str(one.name), bool(one.unique)) for one in table.indexes}
            assert declared <= indexes, table.name
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]


def test_postgres_compresses_other_columns_of_a_run_before_its_configuration(postgres_store: str) -> None:
    store = RunStore.open(postgres_store)
    run = submit(store)
    filler = {"environment": {str(number): [number] * 20 for number in range(100)}, "name": "x" * 1_500}
    write_past_checks(store, run.id, **filler)
    compressed = (
        "pg_column_size({0}) < pg_column_size({0} || '{{}}')"  # the right side is a new value, so not compressed
    )
    query = f"SELECT {compressed.format('config')}, {compressed.format('environment')} FROM runs"
    with store.database.read() as connection:
        assert connection.exec_driver_sql(query).all() == [(False, True)]
    store.close()


def test_migrations_import_no_code_that_describes_the_current_schema(store: RunStore) -> None:
    source = Path(migrations.__file__).read_text() + Path(headline_columns.__file__).read_text()
    imported = {line for line in source.splitlines() if line.startswith("from lab")}
    assert imported == {"from lab.runs.headline_columns import add_headline"}


def test_a_configuration_that_cannot_be_read_does_not_stop_a_migration(url: str, store: RunStore) -> None:
    odd, fine = (submit(store, name) for name in ("odd", "fine"))
    write_past_checks(store, odd.id, checksum=False, config={"schema": 99})
    write_past_checks(store, fine.id, checksum=False)
    with store.database.write() as connection:
        connection.execute(text("UPDATE runs SET setting = ''"))
        connection.execute(text("UPDATE lab_schema SET version = 1"))
    store.close()
    again = RunStore.open(url)
    listed = {run.id: run for run in again.runs.list(problems=True)}
    assert listed[odd.id].problem
    assert [run.id for runs in again.runs.find_settings([listed[fine.id].config]).values() for run in runs] == [fine.id]
    again.close()


def test_unreadable_runs_are_listed_with_a_problem_and_found_by_no_other_lookup(store: RunStore, me: Owner) -> None:
    ended = []
    for name in ("odd", "fine"):
        queued, _ = store.queue.submit(CONFIG, fingerprint=name, family="one")
        run = store.leases.claim(slot="cpu", owner=me, run=queued.id)
        assert run is not None
        ended.append(store.leases.finish(run.id, run.lease, state=RunState.FINISHED))
    odd, fine = ended
    children = [
        submit(store, f"child {seed}", config=CONFIG.replace(init_from=fine.id, seed=seed)).id for seed in (1, 2)
    ]
    for id in (odd.id, children[0]):
        write_past_checks(store, id, config={**CONFIG.as_dict(), "schema": 99, "init_from": fine.id})
    assert sorted(run.id for run in store.runs.list(problems=True) if run.problem) == sorted([odd.id, children[0]])
    assert [run.id for run in store.runs.find_family("one")] == [fine.id]
    assert [run.id for run in store.runs.find_children([fine.id])] == [children[1]]
    assert [run.id for found in store.runs.find_settings([CONFIG]).values() for run in found] == [fine.id]

"""The prepared stores of the tests equal those that the migrations create."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine.interfaces import CacheStats

from lab.runs import schema
from lab.runs.database import Database
from lab.runs.owner import Owner
from lab.runs.store import RunStore
from lab.runs.tables import runs
from tests.new_stores import SpareStores
from tests.runs.runs_data import submit


def _stored(file: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
        rows = [
            (name, connection.execute(f"SELECT * FROM {name}").fetchall())
            for kind, name, *_ in objects
            if kind == "table"
        ]
    return objects + rows


def test_a_prepared_sqlite_file_equals_a_migrated_one(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'migrated.db'}")
    schema.migrate(database)
    RunStore.open(f"sqlite:///{tmp_path / 'quick.db'}").close()
    migrated = _stored(tmp_path / "migrated.db")
    assert ("lab_schema", [(len(schema.MIGRATIONS),)]) in migrated
    assert _stored(tmp_path / "quick.db") == migrated


def test_statements_compiled_for_one_store_are_reused_by_the_next(tmp_path: Path) -> None:
    query = select(runs.c.id).where(runs.c.name == "a name that no other test queries")
    hits = []
    for name in ("first", "second"):
        database = Database(f"sqlite:///{tmp_path / name}.db")
        schema.migrate(database)
        with database.read() as connection:
            result = connection.execute(query)
            hits.append(result.context.cache_hit)
            assert result.all() == []
    assert hits == [CacheStats.CACHE_MISS, CacheStats.CACHE_HIT]


def test_a_postgres_store_is_reused_empty_and_one_with_a_changed_schema_never(spare_stores: SpareStores) -> None:
    with spare_stores.lend() as first:
        used = RunStore.open(first)
        run = submit(used)
        used.leases.claim(slot="cpu", owner=Owner.of_this_process(), run=run.id)
        used.close()
    with spare_stores.lend() as again:
        assert again == first
        emptied = RunStore.open(again)
        assert emptied.runs.count() == 0
        number = "SELECT number FROM runs"
        submit(emptied)
        with emptied.database.write() as connection:
            assert connection.exec_driver_sql(number).scalars().all() == [1]
            connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN note")
        emptied.close()
    with spare_stores.lend() as other:
        assert other != first

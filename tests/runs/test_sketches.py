"""Saved drawings: stored byte for byte, listed in order, deleted by id, and added to older stores by a migration."""

import pytest

from lab.errors import InputError, ReadOnlyError
from lab.runs import migrations, schema
from lab.runs.database import Database
from lab.runs.sketches import MAX_BYTES
from lab.runs.store import RunStore

PNG = bytes(range(256)) * 4


def test_a_saved_drawing_is_read_back_byte_for_byte(url: str, store: RunStore) -> None:
    saved = store.sketches.save(PNG, label=" 7 ", dataset="mnist")
    other = RunStore.open(url, read_only=True)
    (found,) = other.sketches.list()
    other.close()
    assert found == saved
    assert (found.label, found.dataset, found.png, found.created_at) == ("7", "mnist", PNG, 1_700_000_000.0)


def test_drawings_are_listed_oldest_first(store: RunStore) -> None:
    ids = [store.sketches.save(PNG, label=str(i), dataset="mnist").id for i in range(4)]
    assert [sketch.id for sketch in store.sketches.list()] == ids


def test_deleting_removes_only_the_given_drawings(store: RunStore) -> None:
    first, second = (store.sketches.save(PNG, label=label, dataset="mnist") for label in "12")
    assert store.sketches.delete((first.id, "not there")) == 1
    assert [sketch.id for sketch in store.sketches.list()] == [second.id]


def test_deleted_drawings_are_restored_as_they_were_and_in_their_place(store: RunStore) -> None:
    first, second, third = (store.sketches.save(PNG, label=label, dataset="mnist") for label in "123")
    store.sketches.delete((first.id, second.id))
    again = store.sketches.save(PNG, label="4", dataset="mnist")
    store.sketches.restore((second, first, third))
    assert store.sketches.list() == (first, second, third, again)
    assert store.sketches.problems() == ()


def test_only_the_given_drawings_get_another_label(store: RunStore) -> None:
    first, second, third = (store.sketches.save(PNG, label=label, dataset="mnist") for label in "123")
    assert store.sketches.relabel((first.id, third.id, "not there"), " 7 ") == 2
    assert [each.label for each in store.sketches.list()] == ["7", "2", "7"]
    assert store.sketches.problems() == ()
    with pytest.raises(InputError, match="The label is ' '"):
        store.sketches.relabel((second.id,), " ")


@pytest.mark.parametrize(
    ("png", "label", "message"),
    [
        (b"", "1", "must have 1 to"),
        (b"0" * (MAX_BYTES + 1), "1", "must have 1 to"),
        (PNG, "  ", "The label is '  '"),
        (PNG, "x" * 61, "must have 1 to 60 characters"),
    ],
)
def test_a_drawing_without_ink_or_label_is_refused(store: RunStore, png: bytes, label: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        store.sketches.save(png, label=label, dataset="mnist")
    assert store.sketches.list() == ()


def test_a_read_only_store_lists_drawings_but_saves_none(url: str, store: RunStore) -> None:
    store.sketches.save(PNG, label="1", dataset="mnist")
    reader = RunStore.open(url, read_only=True)
    assert len(reader.sketches.list()) == 1
    with pytest.raises(ReadOnlyError, match="read-only"):
        reader.sketches.save(PNG, label="2", dataset="mnist")
    reader.close()


def test_an_older_store_gets_the_table_of_drawings(bare_url: str) -> None:
    database = Database(bare_url)
    schema.migrate(database, migrations=migrations.MIGRATIONS[: migrations.MIGRATIONS.index(migrations._sketches)])
    database.close()
    store = RunStore.open(bare_url)
    assert store.sketches.list() == ()
    assert store.sketches.save(PNG, label="3", dataset="mnist").label == "3"
    store.close()

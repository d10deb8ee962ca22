"""What people do to runs: name, note, tag, pin, delete and take the deletion back.

Deleting only hides a run. `removal` removes what was deleted some time ago.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import update

from lab.errors import RunStateError, TextError
from lab.runs.base import StoreBase
from lab.runs.encoding import encode_tags
from lab.runs.leases import _key_if_free
from lab.runs.records import RunRecord, RunState
from lab.runs.schema import runs

NAME_LIMIT = 200
NOTE_LIMIT = 20_000
TAG_LIMIT = 60
TAGS_LIMIT = 200  # of one run; a bundle takes as many
PURGE_AFTER_S = 7 * 24 * 3600.0  # a week to change one's mind, then `removal` removes it


class Edits(StoreBase):
    """The part of `RunStore` behind the buttons of the Runs page."""

    def rename(self, run: str, name: str) -> RunRecord:
        """Give a run another name; names need not be unique."""
        return self._edit(run, name=checked_text(name, "name", NAME_LIMIT))

    def set_note(self, run: str, note: str) -> RunRecord:
        """Replace the note."""
        return self._edit(run, note=checked_text(note, "note", NOTE_LIMIT, lines=True))

    def set_tags(self, run: str, tags: Iterable[str]) -> RunRecord:
        """Replace the tags; they are kept sorted, each once."""
        return self._edit(run, tags=encode_tags(checked_tags(tags)))

    def set_pinned(self, run: str, pinned: bool) -> RunRecord:
        """Pin a run, which keeps it at the head of the table, or let it go."""
        return self._edit(run, pinned=int(pinned))

    def delete(self, run: str) -> RunRecord:
        """Hide a run; `undelete` brings it back until it is purged. One that is training must be stopped first."""
        with self.database.write() as connection:
            row = self._row(connection, run, lock=True)
            state = self._state(row)
            if state in (RunState.RUNNING, RunState.STOPPING):
                raise RunStateError(f"Run {run} is {state.value}, so it cannot be deleted: stop it first.")
            ended = {"state": RunState.STOPPED} if state is RunState.QUEUED else {"state": state}
            values = {"deleted_at": self._clock(), "lease": row.lease + 1, **ended}
            changed = connection.execute(update(runs).where(runs.c.id == run).values(**values).returning(runs)).one()
        return self._record(changed)

    def undelete(self, run: str) -> RunRecord:
        """Bring back a deleted run."""
        with self.database.write() as connection:
            row = self._row(connection, run, deleted=True, lock=True)
            if row.deleted_at is not None:
                values = {"deleted_at": None, **_key_if_free(connection, row)}
                row = connection.execute(update(runs).where(runs.c.id == run).values(**values).returning(runs)).one()
        return self._record(row)

    def _edit(self, run: str, **values: Any) -> RunRecord:
        with self.database.write() as connection:
            self._row(connection, run)
            return self._record(
                connection.execute(update(runs).where(runs.c.id == run).values(**values).returning(runs)).one()
            )


def checked_text(text: str, what: str, limit: int, *, lines: bool = False) -> str:
    """Return the text trimmed, or raise `TextError` for one that is too long or holds control characters."""
    trimmed = text.strip()
    allowed = "\n\t" if lines else ""
    if len(trimmed) > limit:
        raise TextError(f"The {what} has {len(trimmed)} characters, but at most {limit} fit: shorten it.")
    bad = next((c for c in trimmed if (ord(c) < 32 or ord(c) == 127) and c not in allowed), None)
    if bad is not None:
        raise TextError(f"The {what} holds the control character {bad!r}, which cannot be shown: take it out.")
    return trimmed


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags trimmed, sorted, each once, or raise `TextError`."""
    found = tuple(sorted({trimmed for tag in tags if (trimmed := checked_text(tag, "tag", TAG_LIMIT))}))
    if len(found) > TAGS_LIMIT:
        raise TextError(f"There are {len(found)} tags, but at most {TAGS_LIMIT} fit on a run: take some off.")
    return found

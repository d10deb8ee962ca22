"""What people do to runs: name, note, tag, pin, delete and take the deletion back.

Deleting only hides a run. `removal` removes what was deleted some time ago.
"""

from collections.abc import Iterable
from typing import Any

from lab.errors import RunStateError, TextError
from lab.runs.base import StoreBase
from lab.runs.encoding import encode_tags
from lab.runs.leases import _key_if_free
from lab.runs.records import RunRecord, RunState
from lab.runs.rows import derive, listed_record
from lab.text import describe_character, hidden_character

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
            row = self._find(connection, run, lock=True)
            moment = self._moment(connection)
            values: dict[str, Any] = {"deleted_at": moment.now}
            if not listed_record(row, moment=moment).problem:  # else only hidden: nobody knows what it is
                state = derive(row, moment=moment)[0]
                if state in (RunState.RUNNING, RunState.STOPPING):
                    raise RunStateError(f"Run {run} is {state.value}, so it cannot be deleted: stop it first.")
                ended = RunState.STOPPED if state is RunState.QUEUED else state
                values |= {"lease": row.lease + 1, "state": ended}
            return listed_record(self._change(connection, row, **values), moment=moment)

    def undelete(self, run: str) -> RunRecord:
        """Bring back a deleted run."""
        with self.database.write() as connection:
            row = self._find(connection, run, deleted=True, lock=True)
            if row.deleted_at is not None:
                row = self._change(connection, row, deleted_at=None, **_key_if_free(connection, row))
            return listed_record(row, moment=self._moment(connection))

    def _edit(self, run: str, **values: Any) -> RunRecord:
        with self.database.write() as connection:
            row = self._row(connection, run, lock=True)
            return self._record(connection, self._change(connection, row, **values))


def checked_text(text: str, what: str, limit: int, *, lines: bool = False) -> str:
    """Return the text trimmed, or raise `TextError` for one that is too long or holds what cannot be shown.

    That is control characters, bidirectional controls, invisible characters, line separators and lone surrogates
    (`lab.text`). lines: whether line ends and tabs are allowed.
    """
    trimmed = text.strip()
    if len(trimmed) > limit:
        raise TextError(f"The {what} has {len(trimmed)} characters, but at most {limit} fit: shorten it.")
    hidden = hidden_character(text.strip(" \t\r\n"), lines=lines)
    if hidden is not None:
        raise TextError(f"The {what} holds the {describe_character(hidden)}, which cannot be shown: take it out.")
    return trimmed


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags trimmed, sorted, each once, or raise `TextError`."""
    found = tuple(sorted({trimmed for tag in tags if (trimmed := checked_text(tag, "tag", TAG_LIMIT))}))
    if len(found) > TAGS_LIMIT:
        raise TextError(f"There are {len(found)} tags, but at most {TAGS_LIMIT} fit on a run: take some off.")
    return found

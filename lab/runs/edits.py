"""Edits by users: name, note, tags and pin of a run, each checked before it is stored."""

from collections.abc import Iterable
from typing import Any

from lab.errors import TextError
from lab.runs.context import StoreContext
from lab.runs.encoding import encode_tags
from lab.runs.records import RunRecord
from lab.runs.row_changes import change_row, sound_row
from lab.runs.rows import run_record
from lab.settings import OWNER_LIMIT
from lab.text import text_problem

NAME_LIMIT = 200
NOTE_LIMIT = 20_000
TAG_LIMIT = 60
TAGS_LIMIT = 200  # of one run; the limit of a bundle is the same
MAX_PRIORITY = 1_000  # set by users; moves in the queue may exceed it in both directions


class Edits:
    """`RunStore.edits`: changes to a run by users."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def rename(self, run: str, name: str) -> RunRecord:
        """Give a run another name; names need not be unique."""
        return self._edit(run, name=checked_text(name, "name", NAME_LIMIT))

    def set_note(self, run: str, note: str) -> RunRecord:
        """Replace the note of a run."""
        return self._edit(run, note=checked_text(note, "note", NOTE_LIMIT, lines=True))

    def set_tags(self, run: str, tags: Iterable[str]) -> RunRecord:
        """Replace the tags; they are stored sorted and without duplicates."""
        return self._edit(run, tags=encode_tags(checked_tags(tags)))

    def set_pinned(self, run: str, pinned: bool) -> RunRecord:
        """Pin a run, which keeps it at the top of the table, or unpin it."""
        return self._edit(run, pinned=int(pinned))

    def _edit(self, run: str, **values: Any) -> RunRecord:
        with self.context.database.write() as connection:
            row = sound_row(connection, run, lock=True)
            return run_record(change_row(connection, row, **values), moment=self.context.moment(connection))


def checked_text(text: str, what: str, limit: int, *, lines: bool = False) -> str:
    """Return the trimmed text, or raise `TextError` if it is too long or contains characters that cannot be shown.

    These are control characters, bidirectional controls, invisible characters, line separators and lone surrogates
    (`lab.text`). what: its name in the message. lines: whether line ends and tabs are allowed.
    """
    if problem := text_problem(text, limit, lines=lines):
        raise TextError(f"The {what} {problem}.")
    return text.strip()


def checked_owner(owner: str) -> str:
    """Return the trimmed name of an owner, or raise `TextError`."""
    return checked_text(owner, "owner", OWNER_LIMIT)


def checked_priority(priority: int) -> int:
    """Return a priority within the range that users may set, or raise `TextError`."""
    if isinstance(priority, bool) or not isinstance(priority, int) or not abs(priority) <= MAX_PRIORITY:
        raise TextError(
            f"The priority is {str(priority)[:40]}, but it must be a whole number from -{MAX_PRIORITY:,} to "
            f"{MAX_PRIORITY:,}."
        )
    return priority


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags trimmed, sorted and without duplicates, or raise `TextError`."""
    found = tuple(sorted({trimmed for tag in tags if (trimmed := checked_text(tag, "tag", TAG_LIMIT))}))
    if len(found) > TAGS_LIMIT:
        raise TextError(f"There are {len(found)} tags, but at most {TAGS_LIMIT} fit on a run: remove some.")
    return found

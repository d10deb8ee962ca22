"""Findings of a run in the store: replaced by its owner during training; added once for runs of earlier releases."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from lab.findings import Finding
from lab.runs.checksums import is_intact
from lab.runs.context import StoreContext
from lab.runs.older_rows import checksum_older_run
from lab.runs.records import ENDS
from lab.runs.row_changes import change_held_row, change_row, find_row
from lab.runs.tables import WITHOUT_FINDINGS, runs


class StoredFindings:
    """`RunStore.findings`: the results of the rules of `lab.diagnosis` for each run."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def set(self, run: str, lease: int, findings: Iterable[Finding]) -> None:
        """Replace the findings of a run that its owner trains. Raises `LeaseLostError`."""
        with self.context.database.write() as connection:
            change_held_row(self.context, connection, run, lease, findings=stored_findings(findings))

    def list_without_findings(
        self, *, limit: int, before: int | None = None, ids: Sequence[str] | None = None
    ) -> list[tuple[int, str]]:
        """Return number and id of ended runs without findings, newest first.

        They are runs of earlier releases and imported ones. before: only lower numbers. ids: only these runs.
        """
        query = select(runs.c.number, runs.c.id).where(
            WITHOUT_FINDINGS, runs.c.state.in_(ENDS), runs.c.deleted_at.is_(None)
        )
        if before is not None:
            query = query.where(runs.c.number < before)
        if ids is not None:
            query = query.where(runs.c.id.in_(ids))
        with self.context.database.read() as connection:
            rows = connection.execute(query.order_by(runs.c.number.desc()).limit(limit)).all()
        return [(row.number, row.id) for row in rows]

    def fill(self, found: Mapping[str, Iterable[Finding]]) -> None:
        """Store the findings of ended runs that have none yet, and renew their checksums; other runs are not changed.

        found: by run id. A run of an older release whose digest does not match gets no checksum, so that `verify`
        continues to report it.
        """
        for run, findings in found.items():
            checksum_older_run(self.context, run)
            with self.context.database.write() as connection:
                row = find_row(connection, run, deleted=True, lock=True)
                if row.findings is None and row.state in ENDS and is_intact(row):
                    change_row(connection, row, findings=stored_findings(findings))


def stored_findings(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings in the form in which the column stores them."""
    return [finding.as_dict() for finding in findings]

"""Findings of a run in the store: replaced by its owner while it trains, filled in once where an earlier release had none."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select, update

from lab.findings import Finding
from lab.runs.base import StoreBase
from lab.runs.digests import content_digest, row_digest
from lab.runs.leases import ENDS
from lab.runs.schema import UNJUDGED, runs


class StoredFindings(StoreBase):
    """The part of `RunStore` that keeps findings."""

    def set_findings(self, run: str, lease: int, findings: Iterable[Finding]) -> None:
        """Replace the findings of a run that its owner trains. Raises `LeaseLostError`."""
        with self.database.write() as connection:
            self._write_held(connection, run, lease, findings=stored_findings(findings))

    def list_unjudged(
        self, *, limit: int, before: int | None = None, ids: Sequence[str] | None = None
    ) -> list[tuple[int, str]]:
        """Return number and id of ended runs that nobody has judged yet, the newest first.

        They are those of earlier releases and imported ones. before: only lower numbers. ids: only these.
        """
        query = select(runs.c.number, runs.c.id).where(UNJUDGED, runs.c.state.in_(ENDS), runs.c.deleted_at.is_(None))
        if before is not None:
            query = query.where(runs.c.number < before)
        if ids is not None:
            query = query.where(runs.c.id.in_(ids))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(runs.c.number.desc()).limit(limit)).all()
        return [(row.number, row.id) for row in rows]

    def fill_findings(self, judged: Mapping[str, Iterable[Finding]]) -> None:
        """Give ended runs that were not judged their findings and a digest over them; others stay as they are.

        judged: by run. A digest that did not hold before is left alone, so that the damage it shows is not sealed.
        """
        before = {}
        with self.database.read() as connection:  # points are read before the lock, and an ended run has no writer
            for run in judged:
                row = self._row(connection, run, deleted=True)
                content = content_digest(connection, row) if row.digest else ""
                before[run] = (row.digest, content, bool(row.digest) and row_digest(row, content) == row.digest)
        with self.database.write() as connection:
            for run, findings in judged.items():
                digest, content, whole = before[run]
                same = (runs.c.id == run, UNJUDGED, runs.c.state.in_(ENDS), runs.c.digest == digest)
                filled = update(runs).where(*same).values(findings=stored_findings(findings))
                if connection.execute(filled).rowcount and whole:
                    sealed = row_digest(self._row(connection, run, deleted=True), content)
                    connection.execute(update(runs).where(runs.c.id == run).values(digest=sealed))


def stored_findings(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings as the column holds them."""
    return [finding.as_dict() for finding in findings]

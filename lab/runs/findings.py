"""Findings of a run in the store: replaced by its owner while it trains, filled in once where an earlier release had none."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from lab.findings import Finding
from lab.runs.digests import Digests
from lab.runs.leases import ENDS
from lab.runs.schema import UNJUDGED, runs
from lab.runs.seals import is_sound


class StoredFindings(Digests):
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
        """Give ended runs that were not judged their findings, under their seal; others stay as they are.

        judged: by run. A run of an older release whose digest does not hold is not sealed, so that `verify` goes on
        saying so.
        """
        for run, findings in judged.items():
            self.seal_older_run(run)
            with self.database.write() as connection:
                row = self._find(connection, run, deleted=True, lock=True)
                if row.findings is None and row.state in ENDS and is_sound(row):
                    self._change(connection, row, findings=stored_findings(findings))


def stored_findings(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings as the column holds them."""
    return [finding.as_dict() for finding in findings]

"""Findings in the store: replaced as a whole, part of the digest, and filled in for runs of earlier releases."""

import pytest
from sqlalchemy import null, text

from lab.errors import InputError, LeaseLostError
from lab.findings import AT_CHANCE, DIVERGED, Finding, Outcome
from lab.runs import migrations
from lab.runs.old_notices import is_old_finding
from lab.runs.older_rows import content_digest, row_digest
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.runs.row_changes import sound_row
from lab.runs.store import RunStore
from tests.runs.runs_data import claimed, write_past_checks

STUCK = Finding(AT_CHANCE, "mistake", "No better than guessing: 9.80 % after epoch 2.", {"lr": 0.001})
LOST = Finding(DIVERGED, "mistake", "Diverged: the loss is nan from step 5 on.", {"lr": 0.0005})
HINT = Finding("training-below-validation", "hint", "Training is below validation.")
# Verbatim from the release before findings.
OLD = (
    "NLL is given raw logits: the loss has no lower bound and will run away below zero. Give it log-softmax, or use "
    "cross-entropy on logits.",
    "NLL is given probabilities instead of their logarithms: the loss stays between -1 and 0 and its gradient fades "
    "when "
    "an answer is wrong. Give it log-softmax.",
    "Cross-entropy applies softmax itself, so softmax is applied twice: the loss cannot fall below about 1.46 with ten "
    "classes. Give it logits.",
    "The images come in the same order every epoch, so neighbouring steps repeat; shuffling usually learns better.",
    "A learning rate of 1e-05 is very small for sgd: expect it to learn slowly. Try 0.01.",
    "A learning rate of 1 is very large for adam: the loss may jump or become NaN. Try 0.001.",
    "The loss is nan from recorded step 13 on: the weights are lost. Lower the learning rate (1), clip the gradient, "
    "or "
    "check loss and output.",
    "The loss is -1,263.42 and falling without limit: NLL on raw logits rewards ever larger logits, not better "
    "answers. "
    "Output log-softmax, or use cross-entropy.",
    "After 215 steps the loss is 2.30, what guessing among 10 classes gives (log 10 = 2.30): nothing is learned. Lower "
    "the learning rate (1e-05) or the weight decay, or add batch norm.",
    "The validation loss rose from 0.1144 to 0.1667 while the training loss kept falling: the network learns the "
    "training "
    "images by heart. Stop early, add augmentation, dropout or weight decay.",
    "The validation loss rose from -0.9000 to -0.7000 while the training loss kept falling: the network learns the "
    "training images by heart. Stop early, add augmentation, dropout or weight decay.",
)
NOTICES = (
    "The weights of all epochs need more than the disk budget of 1 MB: the oldest are deleted, but never the best or "
    "the "
    "newest. Raise keep_mb to keep more.",
    "This run goes on under other conditions (threads 1 is now 2): its numbers may differ in the last bits.",
)


def test_a_run_begins_without_findings_and_its_owner_replaces_them_as_a_whole(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    assert (run.findings, run.outcome, run.status) == ((), None, "running")
    for findings in ((STUCK,), (HINT, STUCK), ()):
        store.findings.set(run.id, run.lease, findings)
        assert store.runs.get(run.id).findings == findings
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.findings.set(run.id, run.lease, (STUCK,))


@pytest.mark.parametrize(
    ("findings", "status"),
    [((), "finished"), ((HINT,), "finished"), ((HINT, STUCK), "no better than guessing"), ((LOST,), "diverged")],
)
def test_the_status_of_a_finished_run_is_its_outcome(
    store: RunStore, me: Owner, findings: tuple[Finding, ...], status: str
) -> None:
    run = claimed(store, me)
    ended = store.leases.finish(run.id, run.lease, state=RunState.FINISHED, findings=findings)
    assert (ended.state, ended.status, ended.findings) == (RunState.FINISHED, status, findings)
    assert store.integrity.verify(run.id) == ()


def test_the_status_of_a_stopped_run_is_stopped_whatever_the_findings(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    ended = store.leases.finish(run.id, run.lease, state=RunState.STOPPED, findings=(LOST,))
    assert (ended.status, ended.outcome) == ("stopped", None)


def test_runs_are_sorted_by_the_status_that_lists_show(store: RunStore, me: Owner) -> None:
    for findings, name in (((STUCK,), "stuck"), ((HINT,), "sound"), ((LOST,), "lost")):
        run = claimed(store, me, name)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED, findings=findings)
    claimed(store, me, "in training")
    rising = [run.status for run in store.runs.list(order="outcome")]
    assert rising == ["diverged", "finished", "no better than guessing", "running"]
    assert [run.status for run in store.runs.list(order="-outcome")] == rising[::-1]


def test_a_search_finds_runs_by_their_outcome(store: RunStore, me: Owner) -> None:
    ends = [((STUCK,), "stuck"), ((LOST,), "lost"), ((HINT,), "sound")]
    for findings, name in ends:
        run = claimed(store, me, name)
        store.edits.rename(run.id, name)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED, findings=findings)
    for search, names in (
        ("outcome:diverged", {"lost"}),
        ("outcome:guessing", {"stuck"}),
        ("outcome:*", {"lost", "stuck"}),
        ("outcome!=diverged", {"stuck", "sound"}),
        ("-outcome:diverged,guessing", {"sound"}),
    ):
        assert {run.name for run in store.runs.list(where=search)} == names, search
    with pytest.raises(InputError, match="'lucky' is not an outcome of a run"):
        store.runs.list(where="outcome:lucky")


def test_corrupted_findings_are_detected(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED, findings=(STUCK,))
    for changed in ("'[]'", "NULL"):
        with store.database.write() as connection:
            connection.execute(text(f"UPDATE runs SET findings = {changed}"))
        assert "checksum differs" in store.integrity.verify(run.id)[0]


def _make_old(url: str, store: RunStore, me: Owner, *notices: str) -> str:
    """Convert the store to the release before findings, with one run, and return the id of that run."""
    run = claimed(store, me)
    for notice in notices:
        store.leases.add_notice(run.id, run.lease, notice)
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary={"test_accuracy": 0.098})
    with store.database.write() as connection:
        connection.execute(text("DROP INDEX runs_unjudged"))
        connection.execute(text("ALTER TABLE runs DROP COLUMN findings"))
        connection.execute(text("UPDATE runs SET seal = '', sums = NULL"))
        connection.execute(
            text(f"UPDATE lab_schema SET version = {migrations.MIGRATIONS.index(migrations._findings_column)}")
        )
    again = RunStore.open(url)
    with again.database.write() as connection:  # the digest as that release computed it
        row = sound_row(connection, run.id)
        assert row.findings is None
        digest = row_digest(row, content_digest(connection, row))
        connection.execute(text("UPDATE runs SET digest = :digest"), {"digest": digest})
    again.close()
    return run.id


def test_a_store_of_the_release_before_findings_opens_without_its_outdated_notices(
    url: str, store: RunStore, me: Owner
) -> None:
    run = _make_old(url, store, me, *OLD, *NOTICES)
    again = RunStore.open(url)
    found = again.runs.get(run)
    assert (found.notices, found.findings, found.status) == (NOTICES, (), "finished")
    assert again.integrity.verify(run) == ()
    assert [id for _, id in again.findings.list_without_findings(limit=5)] == [run]
    again.findings.fill({run: (STUCK,)})
    found = again.runs.get(run)
    assert (found.notices, found.findings, found.outcome) == (NOTICES, (STUCK,), Outcome.AT_CHANCE)
    assert again.integrity.verify(run) == ()
    assert again.findings.list_without_findings(limit=5) == []
    again.findings.fill({run: (LOST,)})
    assert again.runs.get(run).findings == (STUCK,)
    again.close()


def test_filling_in_findings_gives_no_checksum_to_a_row_that_was_damaged_before(
    url: str, store: RunStore, me: Owner
) -> None:
    run = _make_old(url, store, me)
    again = RunStore.open(url)
    with again.database.write() as connection:
        connection.execute(text("UPDATE runs SET seconds = 12.5"))
    again.findings.fill({run: (STUCK,)})
    assert "checksum differs" in again.integrity.verify(run)[0]
    again.close()


@pytest.mark.parametrize("notice", OLD)
def test_every_notice_of_the_old_rules_is_recognised(notice: str) -> None:
    assert is_old_finding(notice)


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_that_is_not_a_finding_is_not_recognised_as_one(notice: str) -> None:
    assert not is_old_finding(notice)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"code": "x", "severity": "loud", "message": "", "remedy": {}},
        {**STUCK.as_dict(), "message": 5},
        {**STUCK.as_dict(), "remedy": []},
    ],
)
def test_a_malformed_finding_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError), match=r"code|not a finding"):
        Finding.from_dict(values)


def test_a_finding_survives_json() -> None:
    assert Finding.from_dict(STUCK.as_dict()) == STUCK


def test_runs_without_findings_are_listed_in_parts_newest_first(store: RunStore, me: Owner) -> None:
    found = []
    for name in "abcde":
        run = claimed(store, me, name)
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
        write_past_checks(store, run.id, findings=null())
        found.append((run.number, run.id))
    claimed(store, me, "in training")
    newest = found[::-1]
    assert store.findings.list_without_findings(limit=2) == newest[:2]
    assert store.findings.list_without_findings(limit=2, before=newest[1][0]) == newest[2:4]
    assert store.findings.list_without_findings(limit=2, before=newest[3][0]) == newest[4:]
    assert store.findings.list_without_findings(limit=2, before=newest[4][0]) == []
    assert store.findings.list_without_findings(limit=9, ids=[newest[3][1], newest[0][1]]) == [newest[0], newest[3]]
    store.removal.delete(newest[0][1])
    store.findings.fill({newest[1][1]: (HINT,)})
    assert store.findings.list_without_findings(limit=9) == newest[2:]


def test_findings_are_filled_in_only_for_runs_that_have_ended(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    write_past_checks(store, run.id, findings=null())
    store.findings.fill({run.id: (HINT,)})
    assert store.runs.get(run.id).findings == ()
    store.leases.finish(run.id, run.lease, state=RunState.PAUSED)
    store.findings.fill({run.id: (HINT,)})
    assert store.runs.get(run.id).findings == (HINT,)

"""Findings in exported files: the outcome instead of "finished", the finding's message, and no stale findings."""

import dataclasses
import io
import json

import pytest

from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.records import RunRecord
from lab.runs.run_facts import RunEnvironment
from lab.service.lab import Lab
from lab.sharing.bundle.read import import_bundle
from lab.sharing.bundle.write import write_bundle
from lab.sharing.formats import CARD, export_runs
from lab.sharing.report.page import write_report
from tests.sharing.sharing_runs import open_lab, train_run

STALE = (
    "The validation loss rose from 0.1144 to 0.1667 while the training loss kept falling: the network learns the "
    "training images by heart. Stop early, add augmentation, dropout or weight decay."
)


@pytest.fixture(scope="module")
def stuck(lab: Lab) -> RunRecord:
    """A run that was trained with a learning rate far too high."""
    run = train_run(lab, name="stuck", lr=1.0, epochs=8, train_limit=0)
    assert run.outcome is not None
    return run


def test_tables_report_card_and_metrics_state_the_outcome_of_a_run(lab: Lab, stuck: RunRecord) -> None:
    (finding,) = stuck.findings
    for format in ("markdown", "latex"):
        assert stuck.status in export_runs(lab, [stuck], format=format)[""].decode()
    html = write_report(lab, [stuck], examine_s=0.0)
    assert finding.message.replace("'", "&#39;") in html
    assert f", {stuck.status}" in html
    card = export_runs(lab, [stuck], format="safetensors")[CARD].decode()
    assert "## Findings" in card
    assert "learning rate" in card.split("## Findings")[1]
    metrics = json.loads(export_runs(lab, [stuck], format="json")[""])["runs"][0]
    assert (metrics["state"], metrics["outcome"]) == ("finished", stuck.status)
    assert metrics["findings"][0]["message"] == finding.message


def test_the_findings_of_an_imported_run_are_derived_from_its_curves(lab: Lab, stuck: RunRecord, tmp_path) -> None:
    other = open_lab(tmp_path / "other")
    (arrived,) = import_bundle(other, io.BytesIO(write_bundle(lab, [stuck])))
    assert arrived.findings == stuck.findings
    assert other.store.integrity.verify(arrived.id) == ()
    other.store.close()


def _as_ended(lab: Lab, run: RunRecord, **changes: object) -> EndedRun:
    fields = {f.name: getattr(run, f.name) for f in dataclasses.fields(EndedRun) if f.name not in ("points", "files")}
    return EndedRun(**{**fields, "id": new_id(), "points": lab.store.points.read(run.id), "files": (), **changes})


def test_a_stale_finding_in_a_bundle_of_the_previous_release_is_dropped(lab: Lab, run: RunRecord, tmp_path) -> None:
    sender, other = open_lab(tmp_path / "sender"), open_lab(tmp_path / "other")
    environment = {
        name: value for name, value in run.environment.as_dict().items() if not name.endswith("_largest_class")
    }
    (old,) = sender.store.imports.insert(
        [
            _as_ended(
                lab, run, notices=(STALE, "The batch was halved."), environment=RunEnvironment.from_dict(environment)
            )
        ]
    )
    assert sender.store.runs.get(old.id).notices == ("The batch was halved.",)
    (arrived,) = import_bundle(other, io.BytesIO(write_bundle(sender, [old])))
    assert arrived.notices == ("The batch was halved.",)
    assert STALE not in write_report(other, [arrived], examine_s=0.0)
    for lab_ in (sender, other):
        lab_.store.close()

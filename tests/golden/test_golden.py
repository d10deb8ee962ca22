"""Files of earlier releases open in this one: store, artifacts and bundle. No key of the `--json` output is missing."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sharing.bundle.read import import_bundle
from lab.worker.execution import execute
from tests.golden import cli_keys
from tests.golden.facts import run_facts
from tests.golden.opening import GOLDEN, RELEASES, read, unpack_home
from tests.worker.worker_runs import between_steps, request_and_wait

pytestmark = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture
def lab(release: str, tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(unpack_home(release, tmp_path / "home"))}))


def test_every_stored_run_has_the_recorded_facts(release: str, lab: Lab) -> None:
    expected = read(release, "expected.json")
    lab.store.removal.undelete(expected["ids"]["deleted"])
    for kind, facts in expected["runs"].items():
        found = run_facts(lab, facts["id"])
        for field in ("series", "summary"):  # later releases add entries to these
            found[field] = {name: found[field].get(name) for name in facts[field]}
        compared = facts.keys() - {"config", "notices"}  # see `test_stored_configurations_keep_their_settings`
        assert {name: found[name] for name in compared} == {name: facts[name] for name in compared}, kind


def test_every_stored_run_passes_the_integrity_check(release: str, lab: Lab) -> None:
    problems = {run.id: lab.store.integrity.verify(run.id) for run in lab.store.runs.list(limit=None)}
    assert problems == dict.fromkeys(problems, ())


def test_stored_configurations_keep_their_settings(release: str, lab: Lab) -> None:
    for kind, facts in read(release, "expected.json")["runs"].items():
        old = {name: value for name, value in facts["config"].items() if name != "schema"}
        config = lab.store.runs.get(facts["id"], deleted=True).config.as_dict()
        assert {name: config.get(name) for name in old} == old, kind


def test_saved_drawings_are_still_listed(release: str, lab: Lab) -> None:
    found = [[s.id, s.label, s.dataset] for s in lab.store.sketches.list()]
    assert found == read(release, "expected.json")["sketches"]


@pytest.mark.parametrize("kind", ["finished", "one_cycle", "second_seed", "early_stopped", "fine_tuned", "queued"])
def test_submitting_the_same_settings_returns_the_stored_run(release: str, lab: Lab, kind: str) -> None:
    facts = read(release, "expected.json")["runs"][kind]
    config = RunConfig.from_dict(facts["config"])
    submission = lab.submissions.submit(lab.validation.resolve(config))
    assert (submission.run.id, submission.cached) == (facts["id"], True)


def test_runs_that_differ_only_in_their_seed_are_still_found_together(release: str, lab: Lab) -> None:
    runs = read(release, "expected.json")["runs"]
    (found,) = lab.store.runs.find_settings([RunConfig.from_dict(runs["finished"]["config"])]).values()
    assert {run.id for run in found} >= {runs["finished"]["id"], runs["second_seed"]["id"]}


def test_stored_weights_compute_the_recorded_logits(release: str, lab: Lab) -> None:
    expected = read(release, "expected.json")
    image = np.asarray(lab.datasets.load("digits").test_images[:1])
    for kind, logits in expected["logits"].items():
        loaded = lab.weights.load(expected["ids"][kind])
        x = torch.from_numpy(image).reshape(1, 1, 28, 28).float() / 255
        with torch.no_grad():
            found = loaded.network((x - loaded.mean) / loaded.std)[0].tolist()
        # Other processors round differently; a wrong file or layer order causes a far larger difference.
        assert found == pytest.approx([float.fromhex(value) for value in logits], rel=1e-4, abs=1e-5), kind


def _run_queued(lab: Lab) -> None:
    claimed = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert claimed is not None
    execute(lab, claimed, ending=threading.Event())


def test_a_paused_run_resumes_from_its_step(release: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is paused again after some more steps, because the whole training would take half a minute."""
    facts = read(release, "expected.json")["runs"]["paused"]
    stored = facts["series"]["batch/loss"]["count"]
    lab.submissions.control(read(release, "expected.json")["ids"]["queued"], RunRequest.STOP)
    lab.submissions.control(facts["id"], RunRequest.RUN)
    between_steps(
        monkeypatch, request_and_wait(RunRequest.PAUSE), when=lambda run: (run.progress.step or 0) > stored + 20
    )
    _run_queued(lab)
    steps = lab.store.points.read(facts["id"])["batch/loss"].step
    assert lab.store.runs.get(facts["id"]).state is RunState.PAUSED
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert len(steps) > stored + 20


def test_a_finished_run_is_continued_by_a_longer_one(release: str, lab: Lab) -> None:
    expected = read(release, "expected.json")
    facts = expected["runs"]["finished"]
    lab.submissions.control(expected["ids"]["queued"], RunRequest.STOP)
    longer = lab.submissions.submit(lab.validation.resolve(RunConfig.from_dict({**facts["config"], "epochs": 3}))).run
    assert longer.parent == facts["id"]
    _run_queued(lab)
    run = lab.store.runs.get(longer.id)
    assert run.state is RunState.FINISHED
    old, new = (lab.store.points.read(i)["batch/loss"] for i in (facts["id"], run.id))
    assert new.value[: len(old.value)].tolist() == old.value.tolist()
    assert len(new.value) == len(old.value) * 3 // 2


def test_the_bundle_of_the_release_can_be_imported(release: str, tmp_path: Path) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path / "other")}))
    with (GOLDEN / release / "bundle.zip").open("rb") as stream:
        imported = import_bundle(lab, stream)
    runs = read(release, "expected.json")["runs"]
    for run, kind in zip(imported, ("finished", "one_cycle", "diverged"), strict=True):
        assert (run.name, run.fingerprint) == (runs[kind]["name"], runs[kind]["fingerprint"])
        points = lab.store.points.read(run.id)
        last = {name: float(series.value[-1]).hex() for name, series in points.items()}
        old = {name: series["last"] for name, series in runs[kind]["series"].items()}
        assert {name: last.get(name) for name in old} == old
        assert [[k.epoch, k.step, k.sha256, k.bytes] for k in lab.weights.list(run.id)] == runs[kind]["weights"]


def test_no_key_of_the_json_output_is_missing(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", dict(cli_keys.os.environ))  # restored after the test
    found = cli_keys.list_keys(release, tmp_path)
    old: dict[str, Any] = read(release, "cli_keys.json")
    missing = {name: sorted(set(keys) - set(found.get(name, ()))) for name, keys in old.items()}
    assert missing == {name: [] for name in old}

"""Sweeps of earlier releases: their trials have the recorded facts, and a half-finished one resumes and finishes."""

from pathlib import Path

import pytest

from lab.runs.records import RunRequest
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sweeps.records import SweepState
from tests.golden.facts import sweep_facts
from tests.golden.opening import RELEASES, read, unpack_home
from tests.sweeps.sweep_runs import work_until_idle

pytestmark = pytest.mark.parametrize(
    "release", [each for each in RELEASES if read(each, "expected.json").get("sweeps")]
)


@pytest.fixture
def lab(release: str, tmp_path: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(unpack_home(release, tmp_path / "home"))}))


def test_every_stored_sweep_has_the_recorded_facts(release: str, lab: Lab) -> None:
    expected = read(release, "expected.json")
    found = {kind: sweep_facts(lab, expected["ids"][kind]) for kind in expected["sweeps"]}
    assert found == expected["sweeps"]


def test_a_half_finished_sweep_resumes_with_its_recorded_measurements(release: str, lab: Lab) -> None:
    expected = read(release, "expected.json")
    ids, before = expected["ids"], expected["sweeps"]["sweep_halfway"]["trials"]
    lab.submissions.control(ids["queued"], RunRequest.STOP)
    lab.sweeps.resume(ids["sweep_halfway"])
    work_until_idle(lab)
    after = sweep_facts(lab, ids["sweep_halfway"])
    assert (after["state"], len(after["trials"])) == (SweepState.FINISHED, 4)
    for old, new in zip(before, after["trials"], strict=False):
        assert (new["run"], new["params"]) == (old["run"], old["params"])
        assert new["values"][: len(old["values"])] == old["values"]

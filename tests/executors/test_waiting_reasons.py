"""Why a run bound to an executor is not training, as text: by its job, the configuration and the supervisor."""

from dataclasses import replace

import pytest

from lab.config import RunConfig
from lab.executors.base import JobState
from lab.executors.config import Executors, RayConfig, SlurmConfig
from lab.runs.jobs import REFUSED, JobRecord
from lab.runs.records import RunRecord, RunState
from lab.service.jobs import _why
from tests.charts.charts_data import run as made_run

BOTH = Executors(slurm=SlurmConfig(), ray=RayConfig("http://h:8265"))
JOB = JobRecord("lab-a-1", "a", 1, "slurm", "12", JobState.PENDING, "PENDING, Resources", 0, 0, 1.0, None, None)


def _run() -> RunRecord:
    return replace(made_run(1, state=RunState.QUEUED), id="abcd", executor="slurm", config=RunConfig())


@pytest.mark.parametrize(
    ("job", "opened", "words"),
    [
        (JOB, 1, "submitted to Slurm as job 12: PENDING, Resources"),
        (replace(JOB, handle=""), 1, "is being submitted to Slurm"),
        (
            replace(JOB, handle="", state=REFUSED, words="no"),
            1,
            "Slurm did not accept it; it will be submitted again: no",
        ),
        (replace(JOB, executor="ray"), 0, "is about to be submitted to Slurm"),  # the run was moved to Slurm
        (None, 0, "is about to be submitted to Slurm"),
        (None, 1, "is submitted to Slurm once it has room: 1 job of this lab is open"),
        (None, 3, "is submitted to Slurm once it has room: 3 jobs of this lab are open"),
        (replace(JOB, closed_at=2.0), 2, "is submitted to Slurm once it has room: 2 jobs of this lab are open"),
        *(
            (
                replace(JOB, closed_at=2.0, state=state, words="TIMEOUT"),
                0,
                "is submitted to Slurm again: its job 12 has ended (TIMEOUT)",
            )
            for state in (JobState.ENDED, JobState.GONE, JobState.CANCELLED)
        ),
        (replace(JOB, closed_at=2.0, state=JobState.RUNNING), 0, "is about to be submitted to Slurm"),
    ],
)
def test_a_run_waits_for_its_job_for_capacity_or_to_be_submitted(
    job: JobRecord | None, opened: int, words: str
) -> None:
    assert _why(_run(), job, BOTH, opened=opened, supervised=True) == words
    without = _why(_run(), job, BOTH, opened=opened, supervised=False)
    alone = "is submitted to Slurm once the lab or a command that trains is started again"
    still_open = job is not None and job.closed_at is None and job.executor == "slurm"
    assert without == (words if still_open else alone)


def test_an_executor_that_is_no_longer_configured_is_named_with_both_remedies() -> None:
    without = Executors(ray=BOTH.ray)
    for job in (JOB, None):
        assert _why(_run(), job, without, opened=1, supervised=True) == (
            "waits for Slurm, which this lab does not have: add it to executors.toml, or `resume abcd --on local`"
        )

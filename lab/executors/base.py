"""What the lab asks of an engine: start a worker for one run, say what became of it, end it, show its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lab.errors import LabError

LOCAL = "local"  # what people call the lab's own slots; the store has "" for it
SHOWN_LOG = 100_000  # characters of a log that are read, from its end


class ExecutorError(LabError):
    """An engine does not answer, or refused a request; the message has its own words."""


class JobState(StrEnum):
    """What an engine says of a job. CANCELLED: somebody ended it there. GONE: the engine knows no such job."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"
    GONE = "gone"

    @property
    def over(self) -> bool:
        """Whether no process of the job runs or will run."""
        return self in (JobState.ENDED, JobState.CANCELLED, JobState.GONE)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state, and in the engine's own words why, such as "PENDING, Resources"."""

    state: JobState
    words: str


@dataclass(frozen=True, slots=True)
class Job:
    """One worker for one run. id: the same whenever the same job is asked for again, so that it is started once.

    arguments: of Python. environment: what the worker needs beside the engine's own.
    """

    id: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Executor(Protocol):
    """An engine. Every method answers within seconds or raises `ExecutorError`."""

    starts_again: bool  # whether the engine itself starts a job again whose node was lost, under the same handle

    def capacity(self) -> int:
        """Return how many jobs of this lab may be there at once, those that run or wait among them."""

    def submit(self, job: Job) -> str:
        """Start a job and return the engine's handle of it; of one that was started before, only the handle."""

    def states(self, handles: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return what the engine says of some jobs."""

    def cancel(self, handle: str) -> None:
        """Ask a job to end: its worker saves a checkpoint. One that has ended stays as it is."""

    def logs(self, handle: str, job: str) -> str:
        """Return the end of a job's output, "" where there is none yet. job: its id."""

"""The interface of an executor: start a worker for one run, report its state, cancel it, return its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lab.errors import LabError

LOCAL = "local"  # the user-visible name of the lab's own slots, for which the store has ""
SHOWN_LOG = 100_000  # characters that are read from the end of a log


class ExecutorError(LabError):
    """An executor does not respond or refused a request; the message quotes it."""


class JobState(StrEnum):
    """The state of a job at its executor. CANCELLED: a user cancelled it there. GONE: the executor does not know it."""

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
    """A job's state, and the executor's own description with the reason, such as "PENDING, Resources"."""

    state: JobState
    words: str


@dataclass(frozen=True, slots=True)
class Job:
    """One worker for one run. id: unchanged if the same job is submitted again, so that it is started only once.

    arguments: for the Python interpreter. environment: variables for the worker, added to the executor's own.
    """

    id: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Executor(Protocol):
    """An executor. Every method returns within seconds or raises `ExecutorError`."""

    starts_again: bool  # whether the executor restarts a job whose node was lost, under the same handle

    def capacity(self) -> int:
        """Return how many jobs of this lab may exist at once, running and waiting."""

    def submit(self, job: Job) -> str:
        """Start a job and return its handle; if the job was already started, only return the handle."""

    def states(self, handles: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return the states of these jobs by handle."""

    def cancel(self, handle: str) -> None:
        """Ask a job to end, so that its worker saves a checkpoint. Jobs that have ended are not changed."""

    def logs(self, handle: str, job: str) -> str:
        """Return the end of a job's output, or "" if there is none yet. job: its id."""

"""Jobs at executors as shown to users: why a run bound to an executor waits, and the log of its job."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from lab.errors import ConfigError, InputError
from lab.executors.base import JobState
from lab.executors.config import Executors, read_executors, title_of
from lab.executors.registry import open_executors
from lab.formatting import plural
from lab.runs.jobs import REFUSED, JobRecord
from lab.runs.records import RunRecord
from lab.runs.store import RunStore
from lab.settings import Settings

_OVER = tuple(state for state in JobState if state.over)


class Jobs:
    """Reads the jobs that the supervisor recorded; the executor itself is called for logs only."""

    def __init__(self, settings: Settings, store: Callable[[], RunStore]) -> None:
        self._settings, self._store = settings, store

    def executors(self) -> tuple[str, ...]:
        """Return the ids of the executors that this lab may use in addition to its own slots. Raises `ConfigError`."""
        return read_executors(self._settings).ids

    def why(self, queued: Sequence[RunRecord], *, supervised: bool) -> Mapping[str, str]:
        """Return, by id, why each queued run that is bound to an executor is not in training.

        supervised: whether a supervisor, which submits jobs, runs on this machine.
        """
        bound = [run for run in queued if run.executor]
        if not bound:
            return {}
        jobs = self._store().jobs.newest([run.id for run in bound])
        opened = self._store().jobs.count_open()
        try:
            config, problem = read_executors(self._settings), ""
        except ConfigError as error:
            config, problem = Executors(), str(error)
        return {
            run.id: problem
            or _why(run, jobs.get(run.id), config, opened=opened.get(run.executor, 0), supervised=supervised)
            for run in bound
        }

    def titles(self, runs: Iterable[str]) -> Mapping[str, str]:
        """Return the titles of the runs' newest jobs, such as "Slurm job 12", by run id; runs without are left out."""
        found = self._store().jobs.newest(runs)
        return {run: f"{title_of(job.executor)} job {job.handle}" for run, job in found.items() if job.handle}

    def log(self, run: RunRecord) -> str:
        """Return the end of the output of a run's newest job. Raises `ExecutorError`, or `InputError` without a job."""
        job = self._store().jobs.newest([run.id]).get(run.id)
        executor = open_executors(read_executors(self._settings), self._settings).get(job.executor) if job else None
        if job is None or not job.handle or executor is None:
            raise InputError(f"Run {run.id} has no job at an executor of this lab, so there is no job log.")
        return executor.logs(job.handle, job.id)


def _why(run: RunRecord, job: JobRecord | None, config: Executors, *, opened: int, supervised: bool) -> str:
    title = title_of(run.executor)
    if run.executor not in config.ids:
        return (
            f"waits for {title}, which this lab does not have: "
            f"add it to executors.toml, or `resume {run.id} --on local`"
        )
    if job is not None and job.closed_at is None and job.executor == run.executor:
        if job.handle:
            return f"submitted to {title} as job {job.handle}: {job.words}"
        if job.state == REFUSED:
            return f"{title} did not accept it; it will be submitted again: {job.words}"
        return f"is being submitted to {title}"
    if not supervised:
        return f"is submitted to {title} once the lab or a command that trains is started again"
    if opened:
        there = f"{plural(opened, 'job')} of this lab {'is' if opened == 1 else 'are'} open"
        return f"is submitted to {title} once it has room: {there}"
    if job is not None and job.state in _OVER:
        return f"is submitted to {title} again: its job {job.handle} has ended ({job.words})"
    return f"is about to be submitted to {title}"

"""Jobs at executors for the runs that are bound to one: submitted, watched while they wait, and ended with their run.

This runs in a separate thread of the supervisor, because an executor may take seconds to respond. While a run's lease
is held, the executor is not asked about its job. Another job is started only if the run is queued according to the
store, and either the executor reported the end of the previous job or the store took the run from its lost worker. So
neither a wrong status nor a second supervisor can cause a run to be trained twice.
"""

import threading
import time
from collections.abc import Mapping, Sequence

from lab.errors import ConfigError, LabError
from lab.executors.base import Executor, ExecutorError, Job, JobState, JobStatus
from lab.executors.config import Executors, read_executors, title_of
from lab.executors.registry import open_executors
from lab.runs.jobs import DISOWNED, HELD, REFUSED, BoundRun, JobRecord
from lab.runs.records import RunState
from lab.runs.store import RunStore
from lab.runs.tables import LOST
from lab.settings import Settings
from lab.worker.supervisor.log import log_supervisor

POLL_S = 1.0
ASK_S = 5.0  # how often an executor is asked about waiting jobs
TRY_AGAIN_S = 15.0  # delay after an executor did not respond or refused a job
UNSURE_S = 60.0  # a job recorded this long ago without a handle was left by a supervisor that was killed
START_S = 600.0  # a job that has not claimed its run after this time never will: its interpreter may hang
LEAVE_S = 30.0  # time for a worker to exit after its run has ended
LOGGED_LINES = 10  # of the output of a job that did not train its run, which is no longer shown after the next job
MAX_WITHOUT_PROGRESS = 3  # consecutive jobs that ended without a step, after which the run is paused


class Dispatcher:
    """Submits, watches and ends the jobs of one lab."""

    def __init__(self, settings: Settings, store: RunStore, *, ask_s: float = ASK_S) -> None:
        self._settings, self._store, self._ask_s = settings, store, ask_s
        self._config = Executors()
        self._executors: Mapping[str, Executor] = {}  # by id
        self._next_ask: dict[str, float] = {}
        self._waits_until: dict[str, float] = {}  # by executor, after an error
        self._leaving: dict[str, float] = {}  # by job: since when its run no longer needs it
        self._said = ""
        self.busy = False  # whether an executor has or may have something to do

    def run(self, ending: threading.Event) -> None:
        """Run `step` until `ending` is set. If a bug ends the loop, `busy` no longer keeps the supervisor alive."""
        try:
            while not ending.wait(POLL_S):
                try:
                    self.step()
                except LabError as error:
                    self._say(str(error))
        finally:
            self.busy = False

    def step(self) -> None:
        """Perform one iteration: recover runs, query the executors, close jobs, submit jobs."""
        config = self._read_config()
        if config != self._config:
            self._config, self._executors = config, open_executors(config, self._settings)
        if self._store.jobs.count(config.ids) == 0:
            self.busy = False
            return
        self._store.leases.recover()
        found = self._store.jobs.bound()
        self.busy = any(self._executor_id(one) in self._executors for one in found)
        for id, executor in self._executors.items():
            mine = [one for one in found if self._executor_id(one) == id]
            if mine and time.monotonic() >= self._waits_until.get(id, 0.0):
                try:
                    self._manage(id, executor, mine)
                except ExecutorError as error:
                    self._waits_until[id] = time.monotonic() + TRY_AGAIN_S
                    self._say(f"{title_of(id)}: {error}")

    def _read_config(self) -> Executors:
        try:
            return read_executors(self._settings)
        except ConfigError as error:
            self._say(str(error))
            return self._config

    @staticmethod
    def _executor_id(one: BoundRun) -> str:
        """Return the executor of a run's open job, which may differ from the executor the run is bound to now."""
        return one.open.executor if one.open is not None else one.executor

    def _manage(self, id: str, executor: Executor, mine: Sequence[BoundRun]) -> None:
        """Watch the open jobs of an executor's runs, and submit jobs for the queued runs while it has room."""
        opened = [(one, one.open) for one in mine if one.open is not None]
        self._watch(id, executor, opened)
        room: int | None = None  # asked only if a job is to be submitted
        for one in mine:
            if one.open is not None or one.state is not RunState.QUEUED or self._makes_no_progress(one):
                continue
            room = executor.capacity() - len(opened) if room is None else room
            if room <= 0:
                return
            job = self._store.jobs.open(one.run, id)
            if job is not None:
                self._submit(executor, job)
                room -= 1

    # -- open jobs ----------------------------------------------------------------------------------------------------

    def _watch(self, id: str, executor: Executor, opened: Sequence[tuple[BoundRun, JobRecord]]) -> None:
        asked: list[tuple[BoundRun, JobRecord]] = []
        for one, job in opened:
            if not job.handle:
                self._resubmit(executor, one, job)
            elif job.state == LOST and one.state is RunState.QUEUED and not executor.starts_again:
                # The executor may detect a lost node long after the lease expired; the next step submits another job.
                self._store.jobs.close(job, state=JobState.GONE, words="its worker was lost")
                log_supervisor(f"job {job.handle} of run {one.run} has lost its worker, so another is submitted")
            elif self._is_asked_for(one):
                asked.append((one, job))
        if not asked or time.monotonic() < self._next_ask.get(id, 0.0):
            return
        self._next_ask[id] = time.monotonic() + self._ask_s
        states = executor.states([job.handle for _, job in asked])
        for one, job in asked:
            if (status := states.get(job.handle)) is not None:
                self._apply_status(executor, one, job, status)

    def _resubmit(self, executor: Executor, one: BoundRun, job: JobRecord) -> None:
        """Submit a job again that was refused or was left by a killed supervisor; the executor recognises it by its id.

        If the executor's response was lost, the job may have been started: then its worker has the run, and only its
        handle is missing.
        """
        if one.slot == job.id and one.state.in_training:
            self._submit(executor, job)
        elif one.executor != job.executor or one.state is not RunState.QUEUED:
            self._store.jobs.close(job, state=JobState.GONE, words=job.words)
        elif job.state == REFUSED or not 0.0 <= self._store.now() - job.submitted_at <= UNSURE_S:
            self._submit(executor, job)  # also if it was recorded before the clock was set back

    @staticmethod
    def _is_asked_for(one: BoundRun) -> bool:
        """Return whether the executor's status of a run's job matters, which it does not while the lease is held."""
        return one.silent or not one.state.in_training

    def _apply_status(self, executor: Executor, one: BoundRun, job: JobRecord, status: JobStatus) -> None:
        """Act on the executor's status of a job whose run is not being trained according to the store."""
        if status.state.over:
            if one.silent:  # on another host, whose processes can be observed only through the lease
                self._store.jobs.expire(one.run, one.lease)
            self._leaving.pop(job.id, None)
            self._store.jobs.close(job, state=status.state, words=status.words)
            log_supervisor(f"job {job.handle} of run {one.run} is over at {title_of(job.executor)}: {status.words}")
            if status.state is JobState.CANCELLED and one.executor == job.executor:
                self._store.jobs.hold(one.run, cancelled_words(job))
            elif one.state is RunState.QUEUED and one.executor == job.executor:  # it did not train its run
                for line in executor.logs(job.handle, job.id).splitlines()[-LOGGED_LINES:]:
                    log_supervisor(f"job {job.handle}: {line}")
            return
        runs_now = status.state is JobState.RUNNING
        if (job.state, job.words) != (status.state, status.words):
            self._store.jobs.note(job.id, state=status.state, words=status.words, started=runs_now)
        needed = one.executor == job.executor and (one.state is RunState.QUEUED or one.silent)
        if needed:
            self._leaving.pop(job.id, None)
            if not one.silent and job.started_at is not None and self._store.now() - job.started_at > START_S:
                executor.cancel(job.handle)
                self._store.jobs.close(
                    job, state=JobState.GONE, words=f"ran for {START_S:.0f} s without claiming its run"
                )
            return
        since = self._leaving.setdefault(job.id, time.monotonic())
        # A worker whose run has ended exits by itself, so that the executor reports success.
        if not runs_now or one.executor != job.executor or time.monotonic() - since > LEAVE_S:
            executor.cancel(job.handle)
            self._store.jobs.close(job, state=JobState.ENDED, words="ended, because its run no longer needs it")
            self._leaving.pop(job.id, None)

    # -- new jobs -----------------------------------------------------------------------------------------------------

    def _makes_no_progress(self, one: BoundRun) -> bool:
        """Return whether the last jobs of a run made no progress; if so, pause the run with that reason."""
        last = self._store.jobs.list(one.run)[:MAX_WITHOUT_PROGRESS] if one.job is not None else ()
        if len(last) < MAX_WITHOUT_PROGRESS or any(job.gained or job.state in (HELD, DISOWNED) for job in last):
            return False
        self._store.jobs.hold(one.run, no_progress_words(last[0]))
        return True

    def _submit(self, executor: Executor, job: JobRecord) -> None:
        arguments = ["-m", "lab.worker", "--run", job.run, "--job", job.id, "--executor", job.executor]
        try:
            handle = executor.submit(Job(job.id, arguments, self._settings.environment()))
        except ExecutorError as error:
            self._store.jobs.note(job.id, state=REFUSED, words=str(error))
            raise
        self._store.jobs.note(job.id, state=JobState.PENDING, words="submitted", handle=handle)
        log_supervisor(f"run {job.run} is submitted to {title_of(job.executor)} as job {handle}")

    def _say(self, text: str) -> None:
        if text != self._said:  # once, not every second
            self._said = text
            log_supervisor(text)


def cancelled_words(job: JobRecord) -> str:
    """Return the reason for pausing a run whose job was cancelled at the executor."""
    return f"Its job {job.handle} was cancelled at {title_of(job.executor)}; Resume submits it again."


def no_progress_words(job: JobRecord) -> str:
    """Return the reason for pausing a run whose last jobs all ended without a step."""
    return (
        f"{MAX_WITHOUT_PROGRESS} jobs in a row ended at {title_of(job.executor)} without a step ({job.words[:80]}): "
        "see the log of its job, then Resume."
    )

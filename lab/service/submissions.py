"""Submitting a run: use the one with its fingerprint, continue a shorter one, or queue a new one."""

from dataclasses import dataclass

from lab.executors.config import read_executors
from lab.runs.records import CHECKPOINT, RunRecord, RunRequest, RunState
from lab.runs.store import RunStore
from lab.service.resolved import ResolvedConfig
from lab.service.validation import Validation
from lab.service.weights import SavedWeights
from lab.settings import Settings
from lab.worker.supervisor.launch import stop_mismatched_supervisor


@dataclass(frozen=True, slots=True)
class Submission:
    """The result of a submission: the run, and whether it already existed (`cached`)."""

    run: RunRecord
    cached: bool


class Submissions:
    """Submits runs and requests that they pause, stop or resume."""

    def __init__(self, settings: Settings, store: RunStore, validation: Validation, weights: SavedWeights) -> None:
        self._settings, self._store, self._validation, self._weights = settings, store, validation, weights

    def fingerprint(self, resolved: ResolvedConfig) -> tuple[str, str]:
        """Return (fingerprint, family) of a configuration.

        Runs of one family differ only in their number of epochs and have a schedule that does not depend on it, so that
        a longer one can continue a shorter one; an empty family rules that out. A fine-tuned run is identified by the
        weights it starts from, because the run they come from may continue to train. A fork is identified by its
        origin, the epoch and the weights saved there. Raises `InputError` if there are no such weights.
        """
        config = resolved.config
        checksum = self._validation.data_checksum(config.dataset)
        if config.fork_of:
            checksum += self._weights.find(config.fork_of, epoch=config.fork_epoch).sha256
        elif config.init_from:
            checksum += self._weights.find(config.init_from).sha256
        fingerprint = config.digest(data_checksum=checksum)
        if config.schedule not in ("constant", "step") or config.max_steps or config.restore_best:
            return fingerprint, ""
        return fingerprint, config.digest(data_checksum=checksum, without=("epochs",))

    def find_answer(self, resolved: ResolvedConfig) -> RunRecord | None:
        """Return the cached run that `submit` would return instead of queueing a new one."""
        return self._store.runs.find_answer(self.fingerprint(resolved)[0])

    def submit(
        self,
        resolved: ResolvedConfig,
        *,
        name: str = "",
        tags: tuple[str, ...] = (),
        fresh: bool = False,
        parent: str | None = None,
        owner: str | None = None,
        priority: int = 0,
        executor: str | None = None,
    ) -> Submission:
        """Return the run of this configuration: the finished or live one if there is one, else a new one, queued.

        fresh: train again even if there is one. A run that differs from a finished one only in having more epochs
        continues it: it starts from the other's last checkpoint and includes its history. owner: who requests it, by
        default the owner in the settings. priority: in the queue. executor: where to train it, `LOCAL` or an executor's
        id; a run that is already waiting is moved there. Raises `ConfigError` for an unknown executor.
        """
        self._settings.require_writable()
        place = read_executors(self._settings).check(executor) if executor else ""
        self._validation.check_fits(resolved)
        self._validation.check_trainable(resolved)
        fingerprint, family = self.fingerprint(resolved)
        if self._store.queue.count_running() == 0:
            stop_mismatched_supervisor(self._settings)
        shorter = None if fresh or parent else self._shorter_run(family, epochs=resolved.config.epochs)
        run, cached = self._store.queue.submit(
            resolved.config,
            fingerprint=fingerprint,
            family=family,
            name=name,
            parent=shorter.id if shorter else parent,
            fresh=fresh,
            tags=tags,
            owner=self._settings.owner if owner is None else owner,
            priority=priority,
            executor=place,
        )
        if executor and cached and run.state is RunState.QUEUED:
            run = self._store.jobs.bind(run.id, place)
        return Submission(run, cached)

    def control(self, run_id: str, request: RunRequest, *, executor: str | None = None) -> RunRecord:
        """Request that a run pauses, stops or resumes. Raises `RunStateError` if that makes no sense.

        executor: where it resumes, `LOCAL` or an executor's id; None to leave this unchanged.
        """
        self._settings.require_writable()
        if executor:
            self._store.jobs.bind(run_id, read_executors(self._settings).check(executor))
        return self._store.leases.request(run_id, request)

    def _shorter_run(self, family: str, *, epochs: int) -> RunRecord | None:
        """Return the longest finished run of the family with fewer epochs that has a checkpoint to continue from."""
        related = self._store.runs.find_family(family) if family else ()
        for run in related:
            finished = run.config.epochs < epochs and run.summary.outcome == "finished"
            if finished and self._store.files.list(run.id, kind=CHECKPOINT):
                return run
        return None

"""Asking for a run: found by its fingerprint, continued from a shorter one, or queued."""

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
    """What asking for a run gave: the run, and whether it was there already (`cached`)."""

    run: RunRecord
    cached: bool


class Submissions:
    """Takes requests for runs and for what they shall do next."""

    def __init__(self, settings: Settings, store: RunStore, validation: Validation, weights: SavedWeights) -> None:
        self._settings, self._store, self._validation, self._weights = settings, store, validation, weights

    def fingerprint(self, resolved: ResolvedConfig) -> tuple[str, str]:
        """Return (fingerprint, family) of a configuration.

        Runs of one family differ only in their length and have a schedule that does not look ahead, so that a longer
        one can continue a shorter one. With an empty family no run can. A fine-tuned run is identified by the weights
        it starts from: the run they are of may go on and learn more. A fork is identified by the run and the epoch it
        goes on from, and by the weights saved there. Raises `InputError` where there are no such weights.
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
        """Return the run that `submit` would answer with instead of queueing a new one."""
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

        `fresh` trains again whatever is there. A run that only asks for more epochs than a finished one continues it:
        the new run starts from the other's last checkpoint and carries its history. owner: who asks for it, by default
        that of the settings; priority: in the queue. executor: where it shall be trained, `LOCAL` or an engine's id; a run
        that waits already is moved there. Raises `ConfigError` for one that is not there.
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
        """Ask a run to pause, stop or go on; raises `RunStateError` where that makes no sense.

        executor: where it goes on, `LOCAL` or an engine's id; None leaves that as it was.
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

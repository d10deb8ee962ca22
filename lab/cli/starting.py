"""Starting the supervisor for a command that waits for workers, and reporting if no worker can start."""

import math
import time
from collections.abc import Callable

from lab.errors import WorkerStartError
from lab.service.lab import Lab
from lab.worker.supervisor.failures import failing_path, log_size, read_failing, supervisor_words
from lab.worker.supervisor.launch import is_supervised, log_path, suspension

MAX_ENDS = 3  # supervisors that ended early one after the other, after which no other is started
SUSPENDED_S = 10.0  # a supervisor may be suspended for this long, as by a debugger or a laptop that wakes up
EARLY_S = 60.0  # a supervisor that has work and ends within this time of its start has ended early


class Starting:
    """Keeps a supervisor alive while there is work, calls `say` once if it has to be started again, and gives up.

    Otherwise a worker that cannot start (no memory, a missing package) would leave its run in the queue unnoticed.
    """

    def __init__(self, lab: Lab, say: Callable[[str], object]) -> None:
        self._lab, self._say = lab, say
        self._starts = self._ends = 0
        self._started_at = -math.inf
        self._suspended_at = math.inf
        self._failed_before = self._log_from = 0

    def ensure(self) -> None:
        """Start the supervisor if there is work and none is alive.

        Raises `WorkerStartError` if the workers or the supervisors that this command has started ended at their start,
        or if the supervisor is suspended, and no other machine has a worker.
        """
        settings = self._lab.settings
        if is_supervised(settings):
            self._give_up_if_suspended()
            return
        if self._starts and not self._has_workers():
            self._give_up_if_failing()
        before, log_from = _failed_at(self._lab), log_size(settings)
        if not self._lab.workers.ensure():
            self._ends = 0  # it had no work
            return
        self._failed_before, self._log_from = before, log_from
        self._starts, self._started_at = self._starts + 1, time.monotonic()
        if self._starts == 2:
            self._say(f"The background worker exited and was restarted; see {log_path(settings)} for why.")

    def _has_workers(self) -> bool:
        return any(worker.alive for worker in self._lab.store.workers.list())

    def _give_up_if_suspended(self) -> None:
        """Raise `WorkerStartError` if the supervisor has been suspended for a while, and there is no worker."""
        why = suspension(self._lab.settings)
        if not why or self._has_workers():
            self._suspended_at = math.inf
            return
        self._suspended_at = min(self._suspended_at, time.monotonic())
        if time.monotonic() - self._suspended_at >= SUSPENDED_S:
            raise WorkerStartError(f"No worker can start: {why}. Until then, runs stay in the queue.")

    def _give_up_if_failing(self) -> None:
        settings = self._lab.settings
        self._ends = self._ends + 1 if time.monotonic() - self._started_at < EARLY_S else 0
        reason = read_failing(settings) if _failed_at(self._lab) != self._failed_before else None
        if reason is None and self._ends >= MAX_ENDS:
            reason = supervisor_words(settings, since=self._log_from)
        if reason is not None:
            why = f" ({reason})" if reason else ""
            raise WorkerStartError(
                f"No worker can start on this machine{why}: see {log_path(settings)}, remove the cause and repeat the "
                "command; until then, runs stay in the queue."
            )


def _failed_at(lab: Lab) -> int:
    """Return when workers last failed at their start, in nanoseconds; 0 if they do not."""
    try:
        return failing_path(lab.settings).stat().st_mtime_ns
    except OSError:
        return 0

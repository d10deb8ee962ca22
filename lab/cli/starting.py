"""Starting the supervisor for a command that waits for workers, and reporting if it ends too early."""

from collections.abc import Callable

from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_supervised, log_path


class Starting:
    """Keeps a supervisor alive, and calls `say` once with a sentence if it ended while there was work.

    Otherwise a worker that cannot start (no memory, a missing package) would leave its run in the queue unnoticed.
    """

    def __init__(self, lab: Lab, say: Callable[[str], object]) -> None:
        self._lab, self._say = lab, say
        self._starts = 0

    def ensure(self) -> None:
        """Start the supervisor if there is work and none is alive."""
        if is_supervised(self._lab.settings) or not self._lab.workers.ensure():
            return
        self._starts += 1
        if self._starts == 2:
            self._say(f"The background worker exited and was restarted; see {log_path(self._lab.settings)} for why.")

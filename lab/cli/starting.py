"""What a command that waits for workers does beside waiting: it starts them, and says when they do not last."""

from collections.abc import Callable

from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_supervised, log_path


class Starting:
    """Keeps a supervisor alive; `say` gets a sentence once, when one has ended while there was work for it.

    A worker that cannot start (no memory, a package that is missing) would otherwise leave its run in the queue in silence.
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
            self._say(f"The background worker has ended and is started again: {log_path(self._lab.settings)} says why.")

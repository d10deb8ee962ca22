"""Starting worker processes when there is work, or will be soon."""

from collections.abc import Callable
from contextlib import suppress

from lab.errors import WorkerStartError
from lab.runs.store import RunStore
from lab.settings import Settings
from lab.worker.supervisor.launch import has_work, start_supervisor


class Workers:
    """Starts the detached supervisor, which keeps one worker per slot running."""

    def __init__(self, settings: Settings, store: Callable[[], RunStore]) -> None:
        self._settings, self._store = settings, store

    def ensure(self) -> bool:
        """Start the supervisor if there is work and none is running; return whether one was started."""
        self._settings.require_writable()
        return has_work(self._store(), self._settings) and start_supervisor(self._settings)

    def warm_up(self) -> None:
        """Start a worker before there is work, so that the next run starts at once; the worker exits if none comes."""
        if not self._settings.read_only:
            with suppress(WorkerStartError):  # pages are shown without a worker, and submitting a run says why
                start_supervisor(self._settings, warm=True)

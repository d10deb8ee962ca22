"""Starting threads that run beside the program and end with it."""

import threading
from collections.abc import Callable

from lab.errors import ThreadStartError
from lab.system_errors import is_thread_limit, process_remedy


def start_thread(run: Callable[[], object], *, name: str) -> threading.Thread:
    """Start a daemon thread that calls `run`, and return it. Raises `ThreadStartError` if the system refuses it."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        raise ThreadStartError(f"The thread {name!r} cannot start: {process_remedy()}.") from error
    return thread

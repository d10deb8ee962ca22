"""Imports torch into the page process once, in the background if possible, and exempts it from garbage collection.

Importing torch takes seconds and creates hundreds of thousands of objects that every full collection would traverse;
after `gc.freeze()` it does not. Pages that need torch call `require_torch()`; the Train page calls `warm_torch()`,
which returns at once.
"""

import atexit
import gc
import importlib
import sys
import threading

from lab.background import start_thread
from lab.errors import ThreadStartError

WARMING_S = 0.5  # how often a page looks whether torch is imported
_ready = threading.Event()
_once = threading.Lock()


def require_torch() -> None:
    """Import torch if it is not imported yet and freeze its objects; return when it can be used."""
    with _once:
        if _ready.is_set():
            return
        torch = importlib.import_module("torch")
        # While a training uses the cores, more threads only wait for each other: with one thread, three networks
        # answered a drawing in 12 ms instead of 320 ms.
        torch.set_num_threads(1)
        gc.collect()
        gc.freeze()
        # Frozen objects are not cleared at exit, and extension modules would report leaks.
        atexit.register(gc.unfreeze)
        _ready.set()


def settle_torch() -> None:
    """Freeze torch's objects if a page imported it by other means; do nothing while an import is in progress."""
    if "torch" in sys.modules and not _ready.is_set() and not _once.locked():
        require_torch()


def warm_torch() -> bool:
    """Start importing torch in the background if it has not been; return whether it can be used now.

    Where no thread can start, it is imported at once.
    """
    if not _ready.is_set() and not _once.locked():
        try:
            start_thread(require_torch, name="import-torch")
        except ThreadStartError:
            require_torch()
    return _ready.is_set()

"""Brings torch into the page process once, in the background, and freezes the garbage collector's view of it.

Importing torch takes seconds and leaves hundreds of thousands of objects that a collection would walk each time; after
`gc.freeze()` it does not. Pages that need torch call `require_torch()`; the Train page calls `warm_torch()` and goes on.
"""

import atexit
import gc
import importlib
import sys
import threading

_ready = threading.Event()
_once = threading.Lock()


def require_torch() -> None:
    """Import torch if it is not there yet, and freeze what it brought; returns when it can be used."""
    with _once:
        if _ready.is_set():
            return
        torch = importlib.import_module("torch")
        # Beside a training, a second thread only waits for its turn: three networks answered a drawing in 12 ms
        # instead of 320 with one thread each.
        torch.set_num_threads(1)
        gc.collect()
        gc.freeze()
        # What is frozen is not cleared at the end, and extension modules complain of leaks.
        atexit.register(gc.unfreeze)
        _ready.set()


def settle_torch() -> None:
    """Freeze torch if a page brought it in without asking here; does nothing while it is on its way."""
    if "torch" in sys.modules and not _ready.is_set() and not _once.locked():
        require_torch()


def warm_torch() -> bool:
    """Begin to import torch in the background if nobody has; return whether it can be used now."""
    if not _ready.is_set() and not _once.locked():
        threading.Thread(target=require_torch, name="import-torch", daemon=True).start()
    return _ready.is_set()

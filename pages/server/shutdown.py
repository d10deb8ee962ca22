"""Limits how long the server takes to shut down, whatever connections its clients hold open.

By default, uvicorn waits for every connection to close, without a limit. It would wait for a client that no longer
reads its response, or for a socket that a browser opened speculatively and that was accepted during the shutdown. A
second Ctrl-C ends the process at once; uvicorn and the interpreter would print tracebacks of what it interrupts.
"""

import signal
from functools import partial
from types import FrameType

from uvicorn import Server

from pages.server.process import end_at_once

GRACE_S = 3  # longer than a page, or a download from it, takes


def limit_shutdown() -> None:
    """Limit the shutdown of the uvicorn server that runs the caller to `GRACE_S`, unless it has its own limit.

    Streamlit has no setting for uvicorn's `timeout_graceful_shutdown`, and an application has no reference to its
    server, which is therefore found through its signal handler. Does nothing under another server.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, Server):
        return
    if server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = GRACE_S
    signal.signal(signal.SIGINT, partial(_interrupt, server))


def _interrupt(server: Server, number: int, frame: FrameType | None) -> None:
    if server.should_exit:
        end_at_once(number, frame)
    server.handle_exit(number, frame)

"""A server that is asked to end does so within seconds, whatever its clients still hold open.

uvicorn waits for every connection to close, without a limit by default. A client that no longer reads its answer, or a socket
that a browser has opened ahead of need and that was accepted in the moment of the shutdown, is waited for until it goes.
"""

import signal

from uvicorn import Server

GRACE_S = 3  # longer than a page or a download of one of its files takes


def limit_shutdown() -> None:
    """Give the uvicorn server that runs the caller `GRACE_S` seconds to end, unless it was started with a limit of its own.

    Streamlit has no setting for uvicorn's `timeout_graceful_shutdown`, and an application is not told which server runs it: the
    server is known by the signal handler that it has set. Does nothing under another server.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, Server) and server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = GRACE_S

"""Which Chromium benchmarks and browser tests start, and with which switches."""

import os
import shutil

# Nothing of its own in the background: no updates, no connections.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WHOLE = ("chromium", "chromium-browser")
_SHELL = ("chromium-headless-shell",)


def find_chromium(*, shell_first: bool = False) -> str | None:
    """Return that of `LAB_CHROMIUM`, else the machine's own; without any None, for which Playwright takes its own.

    shell_first: prefer the headless shell, whose pages take 40 % less processor time, to the whole browser that a user has.
    """
    names = _SHELL + _WHOLE if shell_first else _WHOLE + _SHELL
    return os.environ.get("LAB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)

"""Where the lab runs: on Linux and macOS, with Python 3.11 to 3.14; on Windows in WSL.

`make` and the entry points import this first, so it needs no package, and Python 3.7 can read it.
"""

from __future__ import annotations

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)  # the packages in constraints.txt have no wheels for later Pythons

# On Windows a process cannot be asked to save a checkpoint and exit, and a file that is open cannot be replaced.
_WINDOWS = (
    "ConvLab does not run on Windows itself: install WSL with `wsl --install` and start the lab inside it, as on Linux "
    "(see README.md)."
)
_INTEL_MAC = (
    "PyTorch is no longer built for Intel Macs, nor for an x86-64 Python on other Macs: ConvLab needs a Mac with Apple "
    "silicon and a Python for arm64."
)


def refusal(system: str, version: tuple[int, ...]) -> str:
    """Return why the lab cannot run, "" if it can. system: `sys.platform`. version: the first of `sys.version_info`."""
    if system in ("win32", "cygwin"):
        return _WINDOWS
    if version < OLDEST:
        return f"ConvLab needs Python {_dotted(OLDEST)} or newer, but this is Python {_dotted(version)}."
    return ""


def install_refusal(system: str, version: tuple[int, ...], machine: str) -> str:
    """Return why `make` cannot install the lab's packages, "" if it can. machine: `platform.machine()`."""
    reason = refusal(system, version)
    if not reason and version[:2] > NEWEST:
        reason = f"ConvLab's packages are not built for Python {_dotted(version)} yet."
    if reason and reason != _WINDOWS:
        return f"{reason} Choose another: make PYTHON=python{_dotted(NEWEST)}"
    return reason or (_INTEL_MAC if (system, machine) == ("darwin", "x86_64") else "")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    sys.exit(install_refusal(sys.platform, tuple(sys.version_info[:3]), platform.machine()) or 0)

"""What `python -m lab serve` adds to the start of the server: its addresses on the terminal, and a browser that opens the lab."""

import json
import os
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from lab.settings import ANNOUNCE, BROWSER, EVERY_NETWORK

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})  # hosts on which a server listens for its own machine alone


class Addresses(NamedTuple):
    """Where the lab is opened: in a browser of this machine, and elsewhere (nowhere where it listens on this machine alone)."""

    here: str
    others: tuple[str, ...]


def announce(host: str, port: int, allowed: Sequence[str], env: Mapping[str, str]) -> None:
    """Print the addresses and open the browser, where the variables that `serve` sets ask for it.

    host: what the server listens on. allowed: the host names that it accepts. The socket must listen already: the
    browser's first request then waits until the server answers.
    """
    form = env.get(ANNOUNCE)
    if not form:
        return
    found = addresses(host, port, allowed)
    if form == "json":
        click.echo(json.dumps(found._asdict()))
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what Streamlit prints at the end is no JSON
    else:
        click.echo(as_text(found))
    if env.get(BROWSER) and has_desktop(sys.platform, env):
        threading.Thread(target=webbrowser.open, args=(found.here,), daemon=True).start()


def addresses(host: str, port: int, allowed: Sequence[str]) -> Addresses:
    """Return where a server can be opened that listens on `host`."""
    if host in LOOPBACK:
        return Addresses(_url(host, port), ())
    names = [name for name in allowed if name not in LOOPBACK and "*" not in name]
    return Addresses(
        _url("127.0.0.1" if host in EVERY_NETWORK else host, port), tuple(_url(name, port) for name in names)
    )


def as_text(found: Addresses) -> str:
    """Return what a terminal shows of the addresses."""
    lines = ["", f"  ConvLab: {found.here}    Ctrl-C ends the server; what is in training goes on."]
    if found.others:
        lines += [f"  From other machines: {', '.join(found.others)}"]
    return "\n".join([*lines, ""])


def has_desktop(platform: str, env: Mapping[str, str]) -> bool:
    """Whether a browser has a screen to open on; without one, `webbrowser` would start a text browser in this terminal."""
    if "SSH_CONNECTION" in env:
        return False
    return platform in ("darwin", "win32") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def _url(name: str, port: int) -> str:
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

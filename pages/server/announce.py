"""What `python -m lab serve` adds to the server's start: it prints the addresses and opens a browser."""

import json
import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import click

from lab.background import start_thread
from lab.errors import ThreadStartError
from lab.settings import ANNOUNCE, BROWSER, EVERY_NETWORK

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})  # on these hosts, only the server's own machine can reach it


class Addresses(NamedTuple):
    """URLs of the lab. here: for a browser on this machine. others: for other machines, if they can reach it."""

    here: str
    others: tuple[str, ...]


def announce(host: str, port: int, allowed: Sequence[str], env: Mapping[str, str]) -> None:
    """Print the addresses and open the browser, if the environment variables that `serve` sets request it.

    host: the host that the server listens on. allowed: the host names that it accepts. The socket must be listening
    already: the browser's first request then waits until the server responds.
    """
    form = env.get(ANNOUNCE)
    if not form:
        return
    found = addresses(host, port, allowed)
    if form == "json":
        click.echo(json.dumps(found._asdict()))
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what Streamlit prints at its end is not JSON
    else:
        click.echo(as_text(found))
    if env.get(BROWSER) and has_desktop(sys.platform, env):
        with suppress(ThreadStartError):  # the address is printed
            start_thread(partial(webbrowser.open, found.here), name="browser")


def addresses(host: str, port: int, allowed: Sequence[str]) -> Addresses:
    """Return the URLs of a server that listens on `host`. allowed: the host names that it accepts."""
    if host in LOOPBACK:
        return Addresses(_url(host, port), ())
    names = [name for name in allowed if name not in LOOPBACK and "*" not in name]
    return Addresses(
        _url("127.0.0.1" if host in EVERY_NETWORK else host, port), tuple(_url(name, port) for name in names)
    )


def as_text(found: Addresses) -> str:
    """Return the addresses as text for a terminal."""
    lines = ["", f"  ConvLab: {found.here}    Ctrl-C stops the server; runs in training continue."]
    if found.others:
        lines += [f"  From other machines: {', '.join(found.others)}"]
    return "\n".join([*lines, ""])


def has_desktop(platform: str, env: Mapping[str, str]) -> bool:
    """Whether a browser has a screen; without one, `webbrowser` would start a text browser in this terminal."""
    if "SSH_CONNECTION" in env:
        return False
    return platform in ("darwin", "win32") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def _url(name: str, port: int) -> str:
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

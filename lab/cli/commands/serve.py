"""`serve`: run the web server of the pages in this process, for this machine only or for all of its networks."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import psutil

from lab.cli.output import json_flag
from lab.errors import InputError, LabError
from lab.service.lab import Lab
from lab.settings import ANNOUNCE, BROWSER, CHECKOUT, EMBED, EVERY_NETWORK, embedding_sites, user_path
from lab.system_errors import reason

_LOOPBACK = ("localhost", "127.0.0.1")
# Not `-m`, which would search the current folder for the lab's packages first.
_SERVER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pages.server.process import main; main()"


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help=f"Address to listen on; {EVERY_NETWORK[0]} opens the lab to every network of this machine.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port; by default 8501, or the next free one.")
@click.option(
    "--allow",
    "names",
    metavar="NAME",
    multiple=True,
    help="Another host name of the lab, such as lab.example; can be given several times.",
)
@click.option(
    "--embed",
    "sites",
    metavar="ORIGIN",
    multiple=True,
    help="A site whose pages may show the lab in a frame, such as https://moodle.example; can be given several times.",
)
@click.option("--browser/--no-browser", default=True, help="Open the lab in this machine's browser.")
@json_flag
@click.pass_obj
def serve(
    lab: Lab,
    host: str,
    port: int | None,
    names: tuple[str, ...],
    sites: tuple[str, ...],
    browser: bool,
    as_json: bool,
) -> None:
    """Serve the lab's pages, and open them in the browser.

    Anyone who can reach the lab can train and delete runs; with `--read-only` before the command they can only look.
    Ctrl-C stops the server; runs in training continue.
    """
    if not (CHECKOUT / ".streamlit" / "config.toml").is_file():
        raise LabError(
            f"{CHECKOUT} has no .streamlit/config.toml: install the lab with `pip install -e` of a checkout."
        )
    _check_address(host, port or 0)
    words = [sys.executable, "-c", _SERVER, str(CHECKOUT), "run", str(CHECKOUT / "app.py"), "--server.address", host]
    words += [] if port is None else ["--server.port", str(port)]
    for name in allowed_hosts(host, names):
        words += ["--server.allowedHosts", name]
    words += ["--logger.hideWelcomeMessage", "true"]  # `pages.server.announce` says more
    environment = {**os.environ, **home_folder(lab.settings.home), **lab.settings.environment()}
    environment[ANNOUNCE] = "json" if as_json else "text"
    environment[BROWSER] = "1" if browser else ""
    if sites:
        environment[EMBED] = " ".join(sites)
    if embedding_sites(environment):
        # In a frame, browsers withhold the cookie of Streamlit's protection. `pages.server.origins` checks every
        # request by its origin, which needs no cookie.
        words += ["--server.enableXsrfProtection", "false"]
    if os.name == "nt":  # on Windows `exec` returns to the prompt immediately
        sys.exit(subprocess.call(words, env=environment))
    os.execve(sys.executable, words, environment)  # noqa: S606  no shell, so nothing to quote


def home_folder(instead: Path) -> dict[str, str]:
    """Return the variable that gives a user without a home folder another one, empty for every other user.

    A number without an account (a container's `--user 4242`) and without `HOME` has none. Streamlit looks for its
    settings there and does not start without it.
    """
    return {} if user_path("~").is_absolute() else {"HOME": str(instead)}


def allowed_hosts(host: str, names: tuple[str, ...]) -> list[str]:
    """Return the host names allowed in requests, including this machine's addresses if the server listens on all.

    Numeric addresses are safe to allow: DNS rebinding needs a host name that another site controls.
    """
    own = _own_addresses(host) if host in EVERY_NETWORK else [host]
    return list(dict.fromkeys([*_LOOPBACK, *own, *names]))


def _own_addresses(host: str) -> list[str]:
    """Return this machine's addresses and its host name; IPv6 ones only if the server listens on them, as on "::"."""
    families = (socket.AF_INET, socket.AF_INET6) if ":" in host else (socket.AF_INET,)
    found = [
        entry.address.partition("%")[0]  # without the interface of a link-local address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in families
    ]
    return [*found, socket.gethostname()]


def _check_address(host: str, port: int) -> None:
    """Raise `InputError` if the server cannot listen on an address. port: 0 for any port."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, for ports just closed
            probe.bind(place)
    except OSError as error:
        raise InputError(_refusal(host, port, error)) from error


def _refusal(host: str, port: int, error: OSError) -> str:
    # EINVAL: a link-local IPv6 address without its interface
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
        return (
            f"--host {host} is not an address of this machine: use 127.0.0.1, {EVERY_NETWORK[0]}, or an address that "
            "`ip address` lists."
        )
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use: choose another with --port, or omit --port for the next free one."
    return f"Cannot listen on port {port} of {host} ({reason(error)}): choose another with --port, above 1023."

"""`serve`: the address that it prints and opens, the hosts that it allows, and what it refuses."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lab.cli.commands.serve import allowed_hosts
from tests.cli.conftest import CommandLine

ROOT = Path(__file__).resolve().parents[2]
START_S = 120


@pytest.mark.parametrize("times", [1, 4])
def test_serve_prints_and_opens_the_address_and_exits_on_ctrl_c_pressed_once_or_often(
    tmp_path: Path, times: int
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {shlex.quote(str(opened))}\n', encoding="utf-8")
    browser.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LAB_", "SSH_"))}
    environment |= {"DISPLAY": ":7", "BROWSER": f"{browser} %s", "OMP_NUM_THREADS": "1"}
    (tmp_path / ".streamlit" / "secrets.toml").mkdir(parents=True)  # of another project, and unreadable
    words = ["--home", str(tmp_path / "home"), "serve", "--host", "0.0.0.0", "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "lab", *words],
        cwd=tmp_path,  # any folder will do: the server reads the settings of the checkout
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        try:
            printed = json.loads(server.stdout.readline())
            _until(lambda: opened.exists() and opened.read_text(encoding="utf-8") == f"{printed['here']}\n")
            assert _status(printed["here"] + "/healthz") == 200
            assert _status(printed["here"] + "/healthz", Host="evil.example") == 403
            assert f"http://{socket.gethostname()}:{printed['here'].rsplit(':', 1)[1]}" in printed["others"]
        finally:
            for _ in range(times):
                server.send_signal(signal.SIGINT)
                time.sleep(0.02)
        assert (server.wait(START_S), server.stdout.read(), server.stderr.read().strip()) == (0, "", "")


def test_the_machines_own_names_are_allowed_hosts_only_on_a_wildcard_address() -> None:
    assert allowed_hosts("127.0.0.1", ()) == ["localhost", "127.0.0.1"]
    assert allowed_hosts("192.168.0.7", ("lab.example", "localhost")) == [
        "localhost",
        "127.0.0.1",
        "192.168.0.7",
        "lab.example",
    ]
    everywhere = allowed_hosts("0.0.0.0", ("lab.example",))
    own = [one.address for entries in psutil.net_if_addrs().values() for one in entries if one.family == socket.AF_INET]
    assert set(everywhere) == {"localhost", "127.0.0.1", socket.gethostname(), "lab.example", *own}
    both = allowed_hosts("::", ("lab.example",))
    sixth = [
        one.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for one in entries
        if one.family == socket.AF_INET6
    ]
    assert set(both) == {*everywhere, *sixth}
    assert len(everywhere) == len(set(everywhere))


def test_a_port_in_use_is_refused_with_a_suggestion(command_line: CommandLine) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, out, err = command_line("serve", "--port", str(port))
    assert (code, out) == (2, "")
    assert err == (
        f"Error: Port {port} of 127.0.0.1 is in use: choose another with --port, or omit --port for the next free "
        "one.\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str, command_line: CommandLine) -> None:
    code, out, err = command_line("serve", "--host", host, "--json")
    assert code == 2
    assert json.loads(out)["error"].startswith(f"--host {host} is not an address of this machine: use 127.0.0.1, 0.")
    assert err.startswith("Error: --host")


def _status(url: str, **headers: str) -> int:
    """Return the status code of one request; wait up to `START_S` for the response."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=START_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_site_that_is_not_an_origin_may_not_embed_the_lab(command_line: CommandLine) -> None:
    code, out, err = command_line("serve", "--embed", "https://moodle.example/course")
    assert (code, out) == (2, "")
    assert err == (
        "Error: 'https://moodle.example/course' (--embed or LAB_EMBED) is not the origin of a site: write scheme, host "
        "and, if there is one, port, such as https://moodle.example.\n"
    )


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The arguments and the environment of the server that `serve` would become."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def end(_program: str, words: list[str], environment: dict[str, str]) -> None:
        found.append((words, environment))
        raise SystemExit(0)  # the real one does not return

    monkeypatch.setattr("os.execve", end)
    return found


@pytest.mark.parametrize("account", [True, False])
def test_the_server_has_a_home_folder_even_if_its_user_has_none(
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    started: list[tuple[list[str], dict[str, str]]],
    account: bool,
) -> None:
    """A container with `--user 4242` has neither `HOME` nor an account; Streamlit does not start then."""
    monkeypatch.delenv("HOME")
    if not account:
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    command_line("serve", "--no-browser", "--port", "0")
    [(_, environment)] = started
    assert environment.get("HOME") == (None if account else environment["LAB_HOME"])


@pytest.mark.parametrize("named_by", ["--embed", "LAB_EMBED"])
def test_a_lab_that_may_be_embedded_takes_uploads_without_a_cookie(
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    started: list[tuple[list[str], dict[str, str]]],
    named_by: str,
) -> None:
    """Browsers withhold the cookie of Streamlit's check in a frame of another site."""
    site = "https://moodle.example"
    if named_by == "LAB_EMBED":
        monkeypatch.setenv("LAB_EMBED", site)
    command_line("serve", "--no-browser", "--port", "0", *(("--embed", site) if named_by == "--embed" else ()))
    [(words, environment)] = started
    assert environment["LAB_EMBED"] == site
    assert words[words.index("--server.enableXsrfProtection") + 1] == "false"


_FINALIZED = """
import builtins, sys
from pages.server.process import main

class Last:
    def __del__(self):
        sys.__stdout__.write("finalized")

builtins.last = Last()
main()
"""


@pytest.mark.parametrize(("word", "code"), [("--version", 0), ("--no-such-option", 2)])
def test_a_server_that_ends_well_skips_pythons_finalization(word: str, code: int) -> None:
    """Finalization ends the threads that are inside torch, which aborted one in six servers just after a first page."""
    ended = subprocess.run(
        [sys.executable, "-c", _FINALIZED, word], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == code
    assert ("finalized" in ended.stdout) == (code != 0)
    assert ("version" in ended.stdout) == (code == 0)

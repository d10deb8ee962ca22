"""The addresses that the server announces at startup, and when it opens a browser."""

import pytest

from lab.settings import ANNOUNCE
from pages.server.announce import Addresses, addresses, announce, as_text, has_desktop

ALLOWED = ["localhost", "127.0.0.1", "192.168.0.7", "*.lab.example", "host"]


def test_addresses_for_other_machines_are_given_only_if_the_server_listens_beyond_loopback() -> None:
    assert addresses("127.0.0.1", 8501, ALLOWED) == Addresses("http://127.0.0.1:8501", ())
    assert addresses("localhost", 1, ALLOWED) == Addresses("http://localhost:1", ())
    assert addresses("::1", 1, ALLOWED) == Addresses("http://[::1]:1", ())
    everywhere = Addresses("http://127.0.0.1:8502", ("http://192.168.0.7:8502", "http://host:8502"))
    assert addresses("0.0.0.0", 8502, ALLOWED) == everywhere
    assert addresses("::", 8502, ALLOWED) == everywhere
    assert addresses("192.168.0.7", 8502, ALLOWED) == Addresses(
        "http://192.168.0.7:8502", ("http://192.168.0.7:8502", "http://host:8502")
    )


def test_the_terminal_shows_the_addresses() -> None:
    alone = as_text(Addresses("http://127.0.0.1:8501", ()))
    assert alone == "\n  ConvLab: http://127.0.0.1:8501    Ctrl-C stops the server; runs in training continue.\n"
    shared = as_text(Addresses("http://127.0.0.1:8501", ("http://a:1", "http://b:1")))
    assert shared == alone + "  From other machines: http://a:1, http://b:1\n"


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.168.0.9 1 192.168.0.7 22"}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "192.168.0.9 1 192.168.0.7 22"}, False),
        ("win32", {}, True),
    ],
)
def test_a_desktop_is_a_local_display_and_not_an_ssh_session(
    platform: str, env: dict[str, str], expected: bool
) -> None:
    assert has_desktop(platform, env) is expected


def test_a_server_that_serve_did_not_start_announces_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    announce("127.0.0.1", 8501, ALLOWED, {})
    assert capsys.readouterr().out == ""
    announce("127.0.0.1", 8501, ALLOWED, {ANNOUNCE: "text"})
    assert capsys.readouterr().out == as_text(Addresses("http://127.0.0.1:8501", ())) + "\n"

"""Foreign hosts get nothing, and every answer carries the headers that keep foreign pages out."""

import base64
import hashlib
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware

from pages.ui.routes import ROUTES
from pages.ui.security import Guard, content_security_policy, host_allowed, inline_script_hashes
from tests.web.web_data import Bench, Client

ALLOWED = ["localhost", "127.0.0.1", "*.lab.example"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:80", "localhost.", "a.b.lab.example"])
def test_names_on_the_list_are_let_in(host: str) -> None:
    assert host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.example", "localhost.evil.example", "evil.example:8501", "lab.example", "xlab.example",
        "localhost@evil.example", "evil.example/localhost", "localhost:port", "localhost:99999", "[::1", "127.0.0.1 evil",
    ],
)  # fmt: skip
def test_every_other_name_is_refused(host: str | None) -> None:
    assert not host_allowed(host, ALLOWED)


def test_an_empty_list_or_a_star_lets_everyone_in() -> None:
    assert host_allowed("anything.example", [])
    assert host_allowed("anything.example", ["*"])


@pytest.fixture
def client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("streamlit.get_option", {"server.allowedHosts": ["localhost"]}.__getitem__)
    return Client(Starlette(routes=ROUTES, middleware=[Middleware(Guard)]))


@pytest.mark.parametrize("path", ["/healthz", "/api/runs/abc/points", "/assets/plotly.min.js", "/", "/none"])
def test_a_foreign_host_header_gets_403_on_every_path(client: Client, path: str) -> None:
    answer = client.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert "server.allowedHosts" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/api/runs/abc/points", "/none"])
def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_the_policy_names_this_host_for_the_websocket_and_allows_no_eval_and_no_foreign_script() -> None:
    policy = dict(part.split(" ", 1) for part in content_security_policy("localhost:8501").split("; "))
    assert "ws://localhost:8501" in policy["connect-src"].split()
    assert "unsafe" not in policy["script-src"]
    assert "http" not in policy["script-src"]
    assert policy["object-src"] == "'none'"


def test_the_inline_scripts_of_streamlits_own_page_are_allowed_by_their_hash() -> None:
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    body = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in content_security_policy("localhost")
    assert len(inline_script_hashes(page)) == page.count("<script>")

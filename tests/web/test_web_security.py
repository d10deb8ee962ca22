"""Other hosts and other sites' pages are refused, and every response has the headers that keep such pages out."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware

from pages.server.origins import Access, host_allowed, parse_origin, refusal
from pages.server.routes import ROUTES
from pages.server.security import Guard, content_security_policy, inline_script_hashes
from tests.web.web_data import Bench, Client

ALLOWED = ["localhost", "127.0.0.1", "*.lab.example"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:80", "localhost.", "a.b.lab.example"])
def test_host_names_on_the_list_are_allowed(host: str) -> None:
    assert host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8501",
        "lab.example",
        "xlab.example",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost:port",
        "localhost:99999",
        "[::1",
        "127.0.0.1 evil",
    ],
)
def test_every_other_host_name_is_refused(host: str | None) -> None:
    assert not host_allowed(host, ALLOWED)


def test_an_empty_list_or_a_star_allows_every_host() -> None:
    assert host_allowed("anything.example", [])
    assert host_allowed("anything.example", ["*"])


@pytest.fixture
def client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Client:
    options = {"server.allowedHosts": ["localhost"], "server.corsAllowedOrigins": ["https://lab.example"]}
    monkeypatch.setattr("streamlit.get_option", options.__getitem__)
    return Client(Starlette(routes=ROUTES, middleware=[Middleware(Guard)]))


@pytest.mark.parametrize("path", ["/healthz", "/api/runs/abc/points", "/assets/plotly.min.js", "/", "/none"])
def test_a_host_header_that_is_not_allowed_gets_403_on_every_path(client: Client, path: str) -> None:
    response = client.get(path, headers={"host": "evil.example"})
    assert response.status_code == 403
    assert "server.allowedHosts" in response.text


SECURITY_HEADERS = {
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": content_security_policy("localhost:8501"),
}


@pytest.mark.parametrize("path", ["/healthz", "/api/runs/abc/points", "/none"])
def test_every_response_has_the_security_headers(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_the_content_security_policy_allows_exactly_these_sources() -> None:
    policy = dict(part.split(" ", 1) for part in content_security_policy("localhost:8501").split("; "))
    scripts = policy.pop("script-src").split()
    assert scripts[:2] == ["'self'", "blob:"]
    assert all(one.startswith("'sha256-") for one in scripts[2:])
    assert policy == {
        "default-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self' data: blob: ws://localhost:8501 wss://localhost:8501",
        "worker-src": "'self' blob:",
        "media-src": "'self' data: blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }


def test_the_policy_allows_the_hosts_websocket_but_no_eval_and_no_external_script() -> None:
    policy = dict(part.split(" ", 1) for part in content_security_policy("localhost:8501").split("; "))
    assert "ws://localhost:8501" in policy["connect-src"].split()
    assert "unsafe" not in policy["script-src"]
    assert "http" not in policy["script-src"]
    assert policy["object-src"] == "'none'"


def test_the_inline_scripts_of_streamlits_page_are_allowed_by_their_hash() -> None:
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    body = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in content_security_policy("localhost")
    assert len(inline_script_hashes(page)) == page.count("<script>")


OWN = "http://localhost:8501"
ACCESS = Access(hosts=["localhost"], origins=["https://lab.example"], token="0123456789abcdef")
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
_PICTURE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}


def _refused(method: str, headers: dict[str, str], *, scheme: str = "http", access: Access = ACCESS) -> bool:
    pairs = [(name.encode(), value.encode()) for name, value in ({"host": "localhost:8501"} | headers).items()]
    kind = "websocket" if scheme.startswith("ws") else "http"
    return bool(refusal({"type": kind, "scheme": scheme, "method": method, "headers": pairs}, access))


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),  # the address bar of an old browser, or a tool
        ("GET", {"origin": OWN}),
        ("GET", {"sec-fetch-site": "same-origin"}),
        ("GET", {"sec-fetch-site": "none"}),
        ("GET", LINK),
        ("GET", LINK | {"sec-fetch-site": "same-site"}),
        ("HEAD", {}),
        ("PUT", {"origin": OWN}),
        ("PUT", {"origin": "HTTP://LocalHost:8501"}),
        ("PUT", {"origin": "https://lab.example"}),
        ("PUT", {"origin": "https://lab.example:443"}),
        ("POST", {"sec-fetch-site": "same-origin"}),
        ("POST", {"authorization": f"Bearer {ACCESS.token}"}),
    ],
    ids=str,
)
def test_requests_from_own_pages_links_and_tools_are_accepted(method: str, headers: dict[str, str]) -> None:
    assert not _refused(method, headers)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"origin": "http://evil.example"}),
        ("GET", {"origin": "http://localhost:3000"}),
        ("GET", {"origin": "http://localhost"}),
        ("GET", {"origin": "https://localhost:8501"}),
        ("GET", {"origin": "http://lab.example"}),
        ("GET", {"origin": "null"}),
        ("GET", _PICTURE),
        ("GET", _PICTURE | {"sec-fetch-site": "same-site"}),
        ("GET", LINK | {"sec-fetch-dest": "iframe"}),
        ("POST", LINK),
        ("GET", LINK | {"origin": "http://evil.example"}),
        ("PUT", {}),
        ("DELETE", {}),
        ("POST", {"sec-fetch-site": "none"}),
        ("POST", {"authorization": "Bearer "}),
        ("POST", {"authorization": ACCESS.token}),
        ("OPTIONS", {"origin": "http://evil.example"}),
        ("GET", {"host": "evil.example", "origin": "http://evil.example"}),
    ],
    ids=str,
)
def test_requests_from_other_pages_are_refused(method: str, headers: dict[str, str]) -> None:
    assert _refused(method, headers)


@pytest.mark.parametrize(("scheme", "origin"), [("ws", OWN), ("wss", "https://localhost:8501")])
def test_a_websocket_is_accepted_only_from_its_own_scheme(scheme: str, origin: str) -> None:
    other = {"ws": "wss", "wss": "ws"}[scheme]
    assert not _refused("GET", {"origin": origin}, scheme=scheme)
    assert _refused("GET", {"origin": origin}, scheme=other)
    assert _refused("GET", {}, scheme=scheme)


FRAME = LINK | {"sec-fetch-dest": "iframe"}
SITES = ("https://moodle.example", "http://[::1]:8080")


def test_a_frame_of_another_site_is_answered_only_if_sites_may_embed_the_lab() -> None:
    embedded = replace(ACCESS, framed=True)
    assert _refused("GET", FRAME)
    assert not _refused("GET", FRAME, access=embedded)
    assert not _refused("GET", LINK, access=embedded)
    for method, headers in (
        ("POST", FRAME),
        ("GET", FRAME | {"sec-fetch-mode": "no-cors"}),
        ("GET", LINK | {"sec-fetch-dest": "object"}),
        ("GET", _PICTURE),
        ("GET", FRAME | {"origin": "https://moodle.example"}),
    ):
        assert _refused(method, headers, access=embedded)


def test_the_headers_name_the_sites_that_may_embed_the_lab(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"server.allowedHosts": ["localhost"], "server.corsAllowedOrigins": []}
    monkeypatch.setattr("streamlit.get_option", options.__getitem__)
    client = Client(Starlette(routes=ROUTES, middleware=[Middleware(Guard, sites=SITES)]))
    headers = client.get("/healthz").headers
    own = SECURITY_HEADERS["content-security-policy"]
    assert headers["content-security-policy"] == f"{own} https://moodle.example http://[::1]:8080"
    assert "x-frame-options" not in headers  # it cannot name them


def test_without_a_configured_token_no_token_is_accepted() -> None:
    scope = {"type": "websocket", "scheme": "ws", "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer ")]}
    assert refusal(scope, Access(hosts=["localhost"]))


@pytest.mark.parametrize(
    "text", ["", "null", "localhost:8501", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a:b"]
)
def test_text_that_is_not_an_origin_is_none(text: str) -> None:
    assert parse_origin(text) is None


def test_the_middleware_refuses_another_origin_and_names_the_setting(client: Client) -> None:
    response = client.get("/healthz", headers={"origin": "http://evil.example"})
    assert response.status_code == 403
    assert "server.corsAllowedOrigins" in response.text


@pytest.mark.parametrize(
    "host", ["evil@127.0.0.1", "evil@localhost:8501", "u:p@localhost", "localhost?x", "localhost#x"]
)
def test_a_host_with_more_than_name_and_port_is_refused(host: str) -> None:
    assert not host_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://lab.example", ("https", "lab.example", 443)),
        ("https://lab.example:443", ("https", "lab.example", 443)),
        ("http://Lab.Example.", ("http", "lab.example", 80)),
        ("http://lab.example:8501", ("http", "lab.example", 8501)),
    ],
)
def test_an_origin_has_the_default_port_of_its_scheme(text: str, origin: tuple[str, str, int]) -> None:
    assert parse_origin(text) == origin


def test_a_request_with_two_origin_headers_is_refused_even_if_both_are_allowed() -> None:
    headers = [(b"host", b"localhost:8501"), (b"origin", OWN.encode()), (b"origin", OWN.encode())]
    assert refusal({"type": "http", "scheme": "http", "method": "PUT", "headers": headers}, ACCESS)
    assert not refusal({"type": "http", "scheme": "http", "method": "PUT", "headers": headers[:2]}, ACCESS)


def test_at_most_64_policies_of_different_hosts_are_cached(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"server.allowedHosts": ["*"], "server.corsAllowedOrigins": []}
    monkeypatch.setattr("streamlit.get_option", options.__getitem__)
    guard = Guard(Starlette(routes=ROUTES))
    client = Client(guard)
    for number in range(70):
        response = client.get("/healthz", headers={"host": f"host{number}"})
        assert f"ws://host{number} " in response.headers["content-security-policy"]
    assert len(guard._policies) == 64
